// A table that can be sorted, walked with the arrow keys and chosen from. Every text of a cell is
// set as text: what a model or a server says is never HTML here.
const PICTURE = /^data:image\/(?:png|jpeg);base64,[A-Za-z0-9+/=]+$/;

function cell(value) {
  const box = document.createElement("td");
  const held = typeof value === "string" ? { text: value } : value;
  if (held.picture && PICTURE.test(held.picture)) {
    const picture = document.createElement("img");
    picture.src = held.picture;
    picture.alt = held.text ?? "";
    box.append(picture);
    return box;
  }
  const text = document.createElement("div");
  text.dir = "auto";
  text.textContent = held.text ?? "";
  text.title = held.title ?? held.text ?? "";
  box.append(text);
  return box;
}

function render({ model, el }) {
  el.classList.add("oai-table");
  el.dataset.lmSuppressShortcuts = "true";
  const table = document.createElement("table");
  table.setAttribute("role", "grid");
  const head = table.createTHead();
  const body = table.createTBody();
  const none = document.createElement("p");
  const frame = document.createElement("div");
  frame.className = "oai-frame";
  frame.append(table, none);
  el.append(frame);
  let asked = false; // whether this view chose the row: only then the focus moves

  function drawHead() {
    const [by, way] = model.get("sort");
    const focused = head.contains(document.activeElement)
      ? document.activeElement.dataset.name
      : null;
    const row = document.createElement("tr");
    for (const column of model.get("columns")) {
      const box = document.createElement("th");
      box.scope = "col";
      box.dataset.align = column.align ?? "";
      if (column.sortable === false) {
        box.textContent = column.label;
      } else {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.name = column.name;
        button.textContent = column.label;
        const mark = document.createElement("span");
        mark.setAttribute("aria-hidden", "true");
        mark.textContent = by === column.name ? (way === "ascending" ? " ▲" : " ▼") : "";
        button.append(mark);
        box.setAttribute("aria-sort", by === column.name ? way : "none");
        button.addEventListener("click", () => {
          const [now, last] = model.get("sort");
          const next = now === column.name && last === "ascending" ? "descending" : "ascending";
          model.set("sort", [column.name, next]);
          model.save_changes();
        });
        box.append(button);
        if (focused === column.name) queueMicrotask(() => button.focus());
      }
      row.append(box);
    }
    head.replaceChildren(row);
  }

  function drawRows() {
    const columns = model.get("columns");
    const had = body.contains(document.activeElement);
    body.replaceChildren(
      ...model.get("rows").map((held) => {
        const row = document.createElement("tr");
        row.dataset.id = held.id;
        row.dataset.state = held.state ?? "";
        held.cells.forEach((value, at) => {
          const box = cell(value);
          box.dataset.align = columns[at]?.align ?? "";
          box.dataset.wide = columns[at]?.wide ? "wide" : "";
          row.append(box);
        });
        return row;
      }),
    );
    none.textContent = model.get("rows").length ? "" : model.get("empty");
    none.hidden = model.get("rows").length > 0;
    asked = had;
    drawChoice();
  }

  function drawChoice() {
    const chosen = model.get("selected");
    const rows = [...body.rows];
    const current = rows.find((row) => row.dataset.id === chosen) ?? rows[0];
    for (const row of rows) {
      row.setAttribute("aria-selected", String(row.dataset.id === chosen));
      row.tabIndex = row === current ? 0 : -1;
    }
    if (asked && current) current.focus({ preventScroll: false });
    asked = false;
  }

  function choose(row) {
    if (!row) return;
    asked = true;
    model.set("selected", row.dataset.id);
    model.save_changes();
    drawChoice();
  }

  body.addEventListener("click", (event) => choose(event.target.closest("tr")));
  body.addEventListener("keydown", (event) => {
    const rows = [...body.rows];
    const at = rows.indexOf(event.target.closest("tr"));
    const to = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: Math.min(at + 10, rows.length - 1),
      PageUp: Math.max(at - 10, 0),
      Home: 0,
      End: rows.length - 1,
      Enter: at,
      " ": at,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    choose(rows[to]);
  });

  function drawLabel() {
    table.setAttribute("aria-label", model.get("label"));
    frame.style.maxHeight = `${model.get("height")}px`;
  }
  const parts = { columns: drawHead, sort: drawHead, rows: drawRows, selected: drawChoice };
  const watched = { ...parts, label: drawLabel, height: drawLabel };
  for (const [name, draw] of Object.entries(watched)) model.on(`change:${name}`, draw);
  drawLabel();
  drawHead();
  drawRows();
  return () => {
    for (const [name, draw] of Object.entries(watched)) model.off(`change:${name}`, draw);
  };
}

export default { render };
