// Files from the person's computer: chosen, dropped or pasted. They go to the kernel in pieces,
// since Jupyter's server breaks the connection at one message of more than 10 MB.
const PIECE = 1 << 20;

function render({ model, el }) {
  el.classList.add("oai-drop");
  el.dataset.lmSuppressShortcuts = "true";
  const input = document.createElement("input");
  input.type = "file";
  input.hidden = true;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "jupyter-button widget-button";
  const hint = document.createElement("span");
  const progress = document.createElement("span");
  progress.setAttribute("role", "status");
  el.append(button, hint, progress, input);

  async function sendAll(files) {
    for (const file of files) {
      const id = `${Date.now()}-${Math.random()}`;
      const most = model.get("largest");
      if (file.size > most) {
        model.send({ type: "refused", name: file.name, size: file.size });
        continue;
      }
      for (let at = 0; at === 0 || at < file.size; at += PIECE) {
        const piece = await file.slice(at, at + PIECE).arrayBuffer();
        const last = at + PIECE >= file.size;
        model.send({ type: "piece", id, name: file.name, last }, undefined, [piece]);
        progress.textContent = last ? "" : ` ${Math.round((100 * at) / file.size)} %`;
        await new Promise((go) => setTimeout(go));
      }
    }
    input.value = "";
  }

  function draw() {
    button.textContent = model.get("label");
    hint.textContent = ` ${model.get("hint")}`;
    input.accept = model.get("accept");
    input.multiple = model.get("several");
    input.setAttribute("aria-label", model.get("label"));
  }
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => sendAll([...input.files]));
  const over = (event) => {
    event.preventDefault();
    event.stopPropagation();
    el.classList.add("oai-over");
  };
  el.addEventListener("dragenter", over);
  el.addEventListener("dragover", over);
  el.addEventListener("dragleave", () => el.classList.remove("oai-over"));
  el.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    el.classList.remove("oai-over");
    sendAll([...event.dataTransfer.files]);
  });
  el.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    event.stopPropagation();
    sendAll([...event.clipboardData.files]);
  });
  const names = ["label", "hint", "accept", "several"];
  for (const name of names) model.on(`change:${name}`, draw);
  draw();
  return () => {
    for (const name of names) model.off(`change:${name}`, draw);
  };
}

export default { render };
