"""Voilà as ``qkdlab app`` starts it: ``python -m qkdlab.app_server PAGE.ipynb [options]``."""

import sys

__all__ = ["main", "may_say_farewell"]

FOREIGN = ["jupyterlab-jupytext", "@pyviz/jupyterlab_pyviz", "@bokeh/jupyter_bokeh"]    # built for a newer page than this


def main(options):
    """Serve until SIGTERM.

    Parameters
    ----------
    options : list of str
        As ``voila`` takes them.
    """
    from voila.app import Voila

    class AppServer(Voila):
        def initialize(self, argv=None):
            super().initialize(argv)
            self.voila_configuration.extension_denylist = FOREIGN
            self.voila_configuration.prelaunch_hook = may_say_farewell

    AppServer.launch_instance(options)


def may_say_farewell(handler, notebook, cwd):
    """Give the page the XSRF cookie that it has to send along when it is left, which ends its kernel at once.

    Voilà's page reads that cookie, but nothing of Voilà sets it: without this its farewell is refused with 403.
    """
    _ = handler.xsrf_token                     # reading it sets the cookie of this answer


if __name__ == "__main__":
    main(sys.argv[1:])
