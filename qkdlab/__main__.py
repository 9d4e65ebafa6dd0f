from qkdlab.cli import main

raise SystemExit(main())
