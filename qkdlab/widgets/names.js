// What ipywidgets leaves out for those who work by keyboard or hear the page: names of sliders, which choice is pressed,
// a ring around what has the focus, and where it goes when its button is disabled. Once a page, for every widget on it.
const RING = `:is(.jupyter-widgets, .widget-toggle-button, .jupyter-widgets *):focus-visible {
  outline: 2px solid var(--jp-ui-font-color1, #212121) !important; outline-offset: 1px; }`;

function named() {
  if (window.__qkdlab_named) return;
  window.__qkdlab_named = true;
  document.head.append(Object.assign(document.createElement("style"), { textContent: RING }));
  let labels = 0;

  const describe = () => {
    for (const slider of document.querySelectorAll(".widget-slider")) {
      const label = slider.querySelector(".widget-label"), readout = slider.querySelector(".widget-readout");
      if (!label) continue;
      label.id ||= `qkdlab-label-${labels++}`;
      readout?.setAttribute("role", "textbox");
      for (const part of slider.querySelectorAll(".noUi-handle, .widget-readout")) part.setAttribute("aria-labelledby", label.id);
      const handles = slider.querySelectorAll(".noUi-handle");   // a range has two, and one readout
      if (readout && handles.length === 1) handles[0].setAttribute("aria-valuetext", readout.textContent);
    }
    for (const button of document.querySelectorAll(".widget-toggle-button, .widget-toggle-buttons button"))
      button.setAttribute("aria-pressed", button.classList.contains("mod-active"));
  };
  let lost = null, timer = 0;
  const handOver = () => {                             // to the next button of the row that can be pressed, else to one before
    if (![lost, document.body].includes(document.activeElement)) lost = null;
    const row = [...(lost?.parentElement?.children ?? [])].filter((e) => e === lost || e.matches("button:enabled"));
    const at = row.indexOf(lost), next = [...row.slice(at + 1), ...row.slice(0, at + 1).reverse()].find((e) => !e.disabled);
    if (next) lost = null;
    next?.focus();
  };
  new MutationObserver((changes) => {
    describe();
    const buttons = changes.filter((change) => change.attributeName === "disabled").map((change) => change.target);
    lost = buttons.find((button) => button.disabled && button === document.activeElement) ?? lost;
    if (!lost || !buttons.length) return;
    clearTimeout(timer);
    timer = setTimeout(handOver, 200);                 // what goes with it has been switched on or off by then
  }).observe(document.body, { subtree: true, childList: true, attributeFilter: ["disabled", "class"] });
  describe();
}

