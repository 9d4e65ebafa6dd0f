// The page's half of DropZone: sends files in chunks, one on the way at a time, so that a large file fits through.

const CHUNK = 1 << 20;

async function render({ model, el }) {
  named();
  await hearing(model);
  const zone = document.createElement("label"), words = document.createElement("span"), input = document.createElement("input");
  zone.className = "qk-drop";
  input.type = "file";
  input.multiple = true;
  input.className = "qk-drop-input";
  input.setAttribute("aria-label", "choose files of a recording");
  zone.append(input, words);
  el.append(zone);

  let resume = null, busy = false, waiting = null;
  const say = () => { words.textContent = model.get("words"); };
  const on = (message) => { if (message.kind === "next" && resume) resume(message); };
  model.on("msg:custom", on);
  model.on("change:words", say);
  say();
  model.send({ kind: "shown" });                       // the kernel may have waited for this page for hours

  const answer = () => new Promise((resolve) => { resume = resolve; });
  async function send(files) {
    if (!files.length) return;
    if (busy) { waiting = files; return; }             // what was dropped last comes next
    busy = true;
    try {
      const names = files.map((file) => file.name), sizes = files.map((file) => file.size);
      let reply = answer();
      model.send({ kind: "begin", names, sizes });
      if ((await reply).refused) return;
      for (const [index, file] of files.entries())
        for (let at = 0; at < file.size || (at === 0 && file.size === 0); at += CHUNK) {
          const part = await file.slice(at, at + CHUNK).arrayBuffer();
          reply = answer();
          model.send({ kind: "part", index, at }, {}, [part]);
          if ((await reply).refused) return;
        }
      reply = answer();
      model.send({ kind: "end" });
      await reply;
    } catch {
      model.send({ kind: "unreadable" });              // a folder was dropped, or the file is gone
    } finally {
      busy = false;
      input.value = "";
      const next = waiting;
      waiting = null;
      if (next) send(next);
    }
  }
  input.addEventListener("change", () => send([...input.files]));
  for (const kind of ["dragover", "dragenter"])
    zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("qk-over"); });
  for (const kind of ["dragleave", "drop"])
    zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.remove("qk-over"); });
  zone.addEventListener("drop", (event) => send([...event.dataTransfer.files]));
  return () => { model.off("msg:custom", on); model.off("change:words", say); };
}

export default { render };
