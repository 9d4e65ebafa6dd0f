// A prebuilt JupyterLab extension, written by hand: one tile in the launcher for each app, and plain words where a saved
// notebook shows a panel whose kernel has ended. Nothing is bundled.
(() => {
  const TILES = [["replay", "Replay a recording"], ["bench", "Run the bench"]];
  const ICON = '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path d="M3 19h18M4 15c3 0 3-10 6-10s3 10 6 10 3-4 5-4" fill="none" stroke="#0072B2" stroke-width="2.2"/></svg>';
  // "Error displaying widget: model not found" is all that such an output holds, and no element.
  const LOST = `.jp-OutputArea-output.jupyter-widgets:not(:has(*)) { font-size: 0; }
    .jp-OutputArea-output.jupyter-widgets:not(:has(*))::after { font: var(--jp-ui-font-size1) var(--jp-ui-font-family);
      color: var(--jp-ui-font-color1); padding: 4px 8px; border-left: 4px solid #E69F00; display: inline-block;
      content: "This panel ended with its kernel. Run → Run All Cells brings it back."; }`;
  let scope = null;
  // a package that the page shares; an empty one where the page (an app's) has none
  const shared = async (name) => (scope[name] ? (await Object.values(scope[name])[0].get())() : {});

  async function load() {
    const [{ ILauncher }, { PageConfig }, { LabIcon }] = await Promise.all(
      ["@jupyterlab/launcher", "@jupyterlab/coreutils", "@jupyterlab/ui-components"].map(shared));
    const activate = (app, launcher) => {
      document.head.append(Object.assign(document.createElement("style"), { textContent: LOST }));
      if (!launcher) return;
      const icon = new LabIcon({ name: "qkdlab:app", svgstr: ICON });
      TILES.forEach(([name, label], rank) => {
        const open = () => window.open(`${PageConfig.getBaseUrl()}voila/render/apps/${name}.ipynb`, `qkdlab-${name}`);
        app.commands.addCommand(`qkdlab:${name}`, { label, icon, execute: open });
        launcher.add({ command: `qkdlab:${name}`, category: "QKD lab", rank });
      });
    };
    // without __esModule the whole page would stay blank
    return { __esModule: true, default: {
      id: "qkdlab:launcher", autoStart: true, optional: ILauncher ? [ILauncher] : [], activate } };
  }
  (window._JUPYTERLAB ??= {}).qkdlab = {
    init: (given) => { scope = given; },
    get: async () => { const made = await load(); return () => made; },
  };
})();
