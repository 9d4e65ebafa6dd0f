// With each frame Bokeh writes the style sheets of all that a plot is made of anew, even of what is drawn on the canvas and
// has no element to be placed, and then asks the page for the style of each label, some thousand times, each time of a page
// whose styles have to be worked out again: three quarters of all the work of a page of plots. Here a sheet is written where
// its text has changed, what is not seen is placed once, and the answer about a style is good for a while.
const VALID_MS = 2000;
let styles = new WeakMap(), since = 0;                 // element -> Map of what it was asked for -> answer

function known(el, question, ask) {
  if (Date.now() - since > VALID_MS) [styles, since] = [new WeakMap(), Date.now()];
  if (!styles.has(el)) styles.set(el, new Map());
  const answers = styles.get(el);
  if (!answers.has(question)) answers.set(question, ask());
  return answers.get(question);
}

function quicken(Bokeh) {
  const part = (module, name) => Bokeh.loader?.[module]?.[name]?.prototype;
  const sheet = part("core/dom", "InlineStyleSheet"), visual = part("core/visuals/visual", "VisualProperties");
  const plot = part("models/plots/plot_canvas", "PlotView"), renderer = part("models/renderers/renderer", "RendererView");
  const fontSize = plot && Object.getOwnPropertyDescriptor(plot, "base_font_size")?.get;
  if (!sheet?._update || !visual?._get_css_value || !fontSize || !renderer?.update_position) return;    // another Bokeh
  if (sheet.quickened) return;
  sheet.quickened = true;

  const { _update } = sheet, texts = new WeakMap();
  sheet._update = function (css) {
    if (texts.get(this) === css) return;
    texts.set(this, css);
    _update.call(this, css);
  };

  const { update_position } = renderer, placed = new WeakSet();
  renderer.update_position = function () {
    const seen = this.shadow_el.querySelector(":not(style, link)");
    if (seen || !placed.has(this)) update_position.call(this);
    placed.add(this);
  };

  const { _get_css_value } = visual;
  visual._get_css_value = function (name) {
    return known(this.obj.el, this.css_prefix + name, () => _get_css_value.call(this, name));
  };
  Object.defineProperty(plot, "base_font_size", { configurable: true, get() {
    return known(this.el, "font size", () => fontSize.call(this));
  } });
}

