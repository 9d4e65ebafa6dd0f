// The page's half of LiveFigure: asks the kernel for BokehJS and for the document, then applies what streams in.

const FIRST_WAIT_MS = 1500, LAST_WAIT_MS = 300000;     // for an answer of the kernel: twice as long each time
const LATE_MS = 250, PATIENCE_MS = 500;                // a late page is one where Stop seems to do nothing
let asked = 0;

// A kernel may drop what a page says where another tab was there before (see qkdlab/lab.py, _configure): ask again.
function ask(model, kind, more) {
  const id = `${Date.now()}-${asked++}-${Math.random()}`;      // replies reach every view of a widget: know one's own
  return new Promise((resolve) => {
    let wait = FIRST_WAIT_MS, again = 0;
    const off = () => { clearTimeout(again); model.off("msg:custom", on); };
    const on = (message) => {
      if (message.kind !== kind || message.id !== id) return;
      off();
      resolve(message);
    };
    const tell = () => {
      if (wait > LAST_WAIT_MS || !told(model, { kind: `need-${kind}`, id, ...more })) return off();
      again = setTimeout(tell, wait);
      wait *= 2;
    };
    model.on("msg:custom", on);
    tell();
  });
}

// Whether there was a kernel to be told; where it is gone, what is shown stays as it is.
function told(model, message) {
  try {
    model.send(message);
    return true;
  } catch {
    return false;
  }
}

// BokehJS comes from the kernel, once per page and bundle, never from the net. The figure that was asked for it may be
// closed before it answers: whoever has waited for long asks for itself.
async function bokehjs(model, bundles) {
  const loaded = (window.__qkdlab_bokehjs ??= {});
  for (const name of bundles) {
    if (!(name in loaded)) loaded[name] = fetched(model, name);
    const arrived = await Promise.race([loaded[name].then(() => true), pause(1500)]);
    if (!arrived) await Promise.race([loaded[name], (loaded[name] = fetched(model, name))]);
  }
  quicken(window.Bokeh);
  return window.Bokeh;
}

async function fetched(model, name) {
  const { source } = await ask(model, "js", { bundle: name });
  const done = (window.__qkdlab_bokehjs_run ??= new Set());
  if (done.has(name)) return;
  done.add(name);
  const script = document.createElement("script");
  script.textContent = source;
  document.head.append(script);
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
// Animation frames sleep in hidden tabs, where the queue would grow for hours: there a timer takes their place.
const frame = () => Promise.race([new Promise((resolve) => { requestAnimationFrame(resolve); }), pause(250)]);
const isDark = () => document.body.dataset.jpThemeLight === "false";
const floats = (view) => new Float64Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

function joined(parts) {
  if (parts.length === 1) return parts[0];
  const whole = new Float64Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}

// Many messages become one change per source and one per model: a slow page skips frames, not rows.
function merged(queue) {
  const sources = new Map(), models = new Map();
  for (const [{ ops }, buffers] of queue)
    for (const op of ops) {
      if (op.op === "set") { models.set(op.id, { ...models.get(op.id), ...op.values }); continue; }
      const columns = Object.fromEntries(op.columns.map((name, i) => [name, floats(buffers[op.first + i])]));
      const source = sources.get(op.id) ?? { data: null, parts: [] };
      if (op.op === "data") { source.data = columns; source.parts = []; }
      else { source.parts.push(columns); source.rollover = op.rollover; }
      sources.set(op.id, source);
    }
  return { sources, models };
}

function apply(doc, queue) {
  const { sources, models } = merged(queue);
  for (const [id, { data, parts, rollover }] of sources) {
    const source = doc.get_model_by_id(id);
    if (data) source.data = data;
    if (parts.length)
      source.stream(Object.fromEntries(Object.keys(parts[0]).map((name) =>
        [name, joined(parts.map((part) => part[name]))])), rollover ?? undefined);
  }
  for (const [id, values] of models) doc.get_model_by_id(id).setv(values);
}

// Plots have no keys of their own: the way by Tab leads past them, and a screen reader is told their titles.
function titled(view) {
  const plot = view.canvas_view?.events_el;
  if (plot) {
    plot.tabIndex = -1;
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", view.model.title?.text ?? "plot");
  }
  for (const child of view.child_views ?? []) titled(child);
}

async function render({ model, el }) {
  named();
  await hearing(model);
  let shown = null, fresh = false, queue = [], resume = () => {}, dark = isDark(), closed = false;
  let quickest = Infinity, complained = 0;
  el.setAttribute("role", "figure");
  el.setAttribute("aria-label", model.get("label"));

  // One frame at a time, in half of the page's time: the other half is for whatever else it shows. JupyterLab draws cells
  // that are out of sight, of a second tab as well, only where there is time left.
  const draw = async () => {
    while (!closed) {
      if (!shown || !queue.length) {
        await new Promise((resolve) => { resume = resolve; });
        continue;
      }
      await frame();
      if (!shown) continue;
      const began = performance.now(), ready = queue;
      queue = [];
      try {
        apply(shown.doc, ready);
      } catch (error) {
        console.error(error);
      }
      for (let k = 0; k < 2; k++) await frame();       // bokeh waits for one, and draws in the next
      await pause(performance.now() - began);
    }
  };
  // messages wait in line where the page is slower than the kernel: ask for fewer frames
  const complain = (sent) => {
    const now = Date.now(), taken = now - 1000 * sent;         // the two clocks may differ: compare with the quickest
    quickest = Math.min(quickest, taken);
    if (taken - quickest < LATE_MS || now - complained < PATIENCE_MS) return;
    complained = now;
    told(model, { kind: "behind" });
  };
  const on = (message, buffers) => {
    if (message.kind !== "ops") return;
    complain(message.sent);
    if (!fresh) return;
    queue.push([message, buffers]);
    resume();
  };
  const forget = (old) => {
    if (!old) return;
    old.views.clear();
    old.doc.clear();
    const index = window.Bokeh.documents.indexOf(old.doc);
    if (index >= 0) window.Bokeh.documents.splice(index, 1);
    old.place.remove();
  };
  const show = async () => {
    const asking = dark;
    const answer = ask(model, "item", { dark });
    // what arrived before this answer is already inside its snapshot
    const { item, bundles } = await answer.then((m) => { fresh = true; queue = []; return m; });
    const B = await bokehjs(model, bundles);
    if (closed) return;
    const old = shown, place = document.createElement("div");
    shown = null;
    el.append(place);
    const views = await B.embed.embed_item({ ...item, target_id: null }, place);
    shown = { views, place, doc: [...views][0].model.document };
    for (const view of views) titled(view);
    forget(old);
    resume();
    el.dataset.live = "ready";                       // what the browser tests wait for
    if (asking !== dark) await show();
  };
  let showing = Promise.resolve();
  const watcher = new MutationObserver(() => {       // the reader chose another theme: ask for the document in it
    if (isDark() === dark) return;
    dark = isDark();
    showing = showing.then(() => (closed ? null : show()));
  });
  model.on("msg:custom", on);
  watcher.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  showing = show();
  draw();
  await showing;
  return () => {
    closed = true;
    resume();
    watcher.disconnect();
    model.off("msg:custom", on);
    forget(shown);
    shown = null;
  };
}

export default { render };
