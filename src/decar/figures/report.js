"use strict";
// The table of molecules (search, filter, sort, pages) and the molecule that is looked at.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const table = element("molecule-table");
  const PAGE = 50;
  const COLUMNS = [
    ["energy_hartree", "energy [hartree]", (value) => value.toFixed(5)],
    ["gap_ev", "gap [eV]", (value) => value.toFixed(2)],
    ["dipole_debye", "dipole [debye]", (value) => value.toFixed(2)],
    ["electron_count_error", "count error [electrons]", (value, row) => `${value < 0 ? "" : "+"}${value.toExponential(0)} of ${row.num_electrons.toFixed(0)}`],
  ];
  const rows = data.molecules;
  for (const row of rows) row.text = [row.id, row.name, row.raw, row.smiles, row.inchikey, row.reason].join(" ").toLowerCase();
  let found = rows.slice();
  let start = 0;

  const written = (value, form, row) => (value === null ? "–" : form(value, row).replaceAll("-", "−"));

  function make(tag, content = "", attributes = {}) {
    const one = document.createElement(tag);
    if (typeof content === "string") one.textContent = content;
    else one.append(...content);
    for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
    return one;
  }

  // Structures are unpacked when they are seen; RDKit wrote them, so they are markup.
  async function structure(target, row) {
    if (row.structure) target.innerHTML = new TextDecoder().decode(await Viewer.inflate(row.structure));
  }

  function classMark(row) {
    if (!row.label) return "–";
    return [make("span", row.label, { class: `class ${row.class === data.positive ? "positive" : "negative"}` })];
  }

  function line(row) {
    const picture = make("td", "", { class: "structure" });
    structure(picture, row);
    const open = make("button", row.name || row.id, { type: "button", class: "open" });
    const cells = [picture, make("td", [open, make("br"), make("span", row.id, { class: "id" }), make("br"), make("code", row.raw)], { class: "name", "data-label": "name" })];
    cells.push(make("td", classMark(row), { "data-label": data.predicted.name, class: data.predicted.is_probability ? "" : "number" }));
    row.predictions.forEach((value, place) => cells.push(make("td", written(value, (one) => one.toFixed(data.predicted.places)), { class: "number", "data-label": data.models[place] })));
    for (const [name, label, form] of COLUMNS) cells.push(make("td", written(row[name], form, row), { class: "number", "data-label": label }));
    const status = row.reason ? [row.status, make("br"), make("small", row.reason)] : row.status;
    cells.push(make("td", status, { class: row.status, "data-label": "status" }));
    const whole = make("tr", cells);
    whole.addEventListener("click", () => look(found.indexOf(row)));
    return whole;
  }

  function draw() {
    start = Math.min(start, Math.max(0, PAGE * (Math.ceil(found.length / PAGE) - 1)));
    const end = Math.min(start + PAGE, found.length);
    table.tBodies[0].replaceChildren(...found.slice(start, end).map(line));
    element("shown").textContent = `${found.length} of ${rows.length} rows`;
    element("page").textContent = found.length ? `${start + 1} to ${end} of ${found.length}` : "no row";
    element("earlier").disabled = start === 0;
    element("later").disabled = end >= found.length;
    document.querySelector(".pages").hidden = found.length <= PAGE;
  }

  let order = (a, b) => a.row - b.row;
  function filter() {
    const words = element("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = [["class", "class"], ["status", "status"], ["reason", "reason"], ["verdict", "verdict"]].map(([name, id]) => [name, element(id).value]).filter(([, value]) => value);
    found = rows.filter((row) => words.every((word) => row.text.includes(word)) && wanted.every(([name, value]) => row[name] === value)).sort(order);
    start = 0;
    draw();
  }

  function sort(heading) {
    const [name, place] = heading.dataset.sort.split(".");
    const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    const value = (row) => (place === undefined ? row[name] : row[name][place]);
    order = (a, b) => {
      const x = value(a), y = value(b);
      if (x === null || y === null) return (x === null) - (y === null); // missing values last
      return direction * (typeof x === "string" ? x.localeCompare(y) : x - y) || a.row - b.row;
    };
    found.sort(order);
    start = 0;
    draw();
  }

  for (const id of ["search", "class", "status", "reason", "verdict"]) element(id).addEventListener("input", filter);
  for (const reason of [...new Set(rows.map((row) => row.reason).filter(Boolean))].sort()) element("reason").append(make("option", reason));
  element("reason").parentNode.hidden = !rows.some((row) => row.reason);
  element("verdict").parentNode.hidden = !rows.some((row) => row.verdict);
  for (const heading of table.tHead.querySelectorAll("th[data-sort]")) {
    heading.tabIndex = 0;
    heading.addEventListener("click", () => sort(heading));
    heading.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(heading); });
  }
  // A phone shows no headings: there a list sorts.
  const headings = [...table.tHead.querySelectorAll("th[data-sort]")];
  for (const heading of headings) element("sort").append(make("option", heading.textContent, { value: heading.dataset.sort }));
  element("sort").addEventListener("input", (event) => {
    const heading = headings.find((one) => one.dataset.sort === event.target.value);
    if (heading) sort(heading);
    else { order = (a, b) => a.row - b.row; filter(); }
  });
  for (const [id, step] of [["earlier", -PAGE], ["later", PAGE]]) element(id).addEventListener("click", () => { start += step; draw(); table.scrollIntoView(); });

  // The molecule that is looked at.
  const dialog = element("molecule");
  let place = 0;
  let cloud = null;
  let view = null;

  function facts(row) {
    const named = [["id", row.id], ["row", String(row.row)], ["as given", row.raw], ["SMILES", row.smiles], ["InChIKey", row.inchikey]];
    named.push([data.predicted.name, classMark(row)]);
    if (!data.predicted.is_probability && row.class) named.push(["half", row.class]);
    row.predictions.forEach((value, index) => { if (value !== null) named.push([data.models[index], predicted(value)]); });
    for (const [name, label, form] of COLUMNS) if (row[name] !== null) named.push([label, written(row[name], form, row)]);
    if (row.num_conformers !== null) named.push(["conformers", String(row.num_conformers)]);
    if (row.num_voxels !== null) named.push(["voxels", row.num_voxels.toLocaleString("en").replaceAll(",", " ")]);
    if (row.wall_seconds !== null) named.push(["wavefunction took", `${row.wall_seconds.toPrecision(2)} s`]);
    named.push(["status", row.reason ? `${row.status}: ${row.reason}, stage ${row.stage || "molecules"}` : row.status]);
    if (row.key) named.push(["key", [make("code", row.key)]]);
    if (row.content_hash) named.push(["content hash of the wavefunction", [make("code", row.content_hash)]]);
    return named.filter(([, value]) => value.length).flatMap(([name, value]) => [make("dt", name), make("dd", value)]);
  }

  // A value with its unit; a probability as a bar, the line in its middle is 0.5.
  function predicted(value) {
    if (!data.predicted.is_probability) return `${written(value, (one) => one.toFixed(data.predicted.places))} ${data.predicted.unit}`.trim();
    const filled = make("span", "", { style: `width: ${100 * value}%`, class: value >= 0.5 ? "positive" : "negative" });
    return [make("span", value.toFixed(2), { class: "probability" }), make("span", [filled], { class: "bar-of", "aria-hidden": "true" })];
  }

  async function look(index) {
    if (index < 0 || index >= found.length) return;
    place = index;
    const row = found[place];
    element("molecule-name").textContent = row.name || row.id;
    element("molecule-structure").replaceChildren();
    structure(element("molecule-structure"), row);
    element("facts").replaceChildren(...facts(row));
    element("message").textContent = row.message;
    element("message").hidden = !row.message;
    element("previous").disabled = place === 0;
    element("next").disabled = place === found.length - 1;
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    history.replaceState(null, "", `#molecule=${encodeURIComponent(row.id)}`);
    await showCloud(row);
  }

  async function showCloud(row) {
    if (document.readyState === "loading") await new Promise((resolve) => { document.addEventListener("DOMContentLoaded", resolve); });
    const text = element(`cloud-${row.key}`);
    view = view || new Viewer.View(element("cloud"), data.elements);
    const reason = !text || row.status !== "ok" ? "There is no electron cloud of this row." : view.gl ? "" : "This browser draws no WebGL: the cloud cannot be shown.";
    element("cloud-note").textContent = reason || "Drag to turn, wheel or two fingers to zoom, double click to put back.";
    for (const one of [element("cloud"), document.querySelector(".cloud-controls")]) one.hidden = Boolean(reason);
    cloud = null;
    if (reason) return;
    const read = await Viewer.read(text.textContent);
    if (found[place] !== row) return; // another one was opened meanwhile
    cloud = read;
    const field = element("field");
    const before = field.value;
    field.replaceChildren(...cloud.fields.map((one) => make("option", one.title, { value: one.name })));
    if (cloud.fields.some((one) => one.name === before)) field.value = before;
    else if (cloud.fields.some((one) => one.name === "electron_density")) field.value = "electron_density";
    view.show(cloud);
    choose();
  }

  const chosen = () => cloud.fields.find((one) => one.name === element("field").value);

  function choose() {
    const field = chosen();
    const painted = element("painted");
    const before = painted.value;
    painted.replaceChildren(make("option", "one colour", { value: "" }), ...cloud.fields.filter((one) => one !== field).map((one) => make("option", one.title, { value: one.name })));
    painted.value = [...painted.options].some((one) => one.value === before) ? before : "";
    const usual = data.isovalues[field.name];
    element("share").value = usual ? Viewer.shareOf(field, usual) : 0.5;
    surface();
  }

  function surface() {
    const field = chosen();
    const share = Number(element("share").value);
    const painted = cloud.fields.find((one) => one.name === element("painted").value);
    view.surface(field, share, painted);
    const unit = (one) => (one.unit === "1" ? "" : ` ${one.unit.replace(/\^(\d)/g, (_, digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit])}`);
    const number = (value) => value.toPrecision(2).replaceAll("-", "−");
    element("isovalue").textContent = `${field.signed ? "±" : ""}${number(Viewer.valueOf(field, share))}${unit(field)}`;
    const legend = element("legend");
    if (painted) legend.replaceChildren(make("span", `${painted.signed ? number(-view.range) : "0"}`), make("span", "", { class: painted.signed ? "scale signed" : "scale" }), make("span", `${number(view.range)}${unit(painted)}`));
    else if (field.signed) legend.replaceChildren(make("span", "positive", { class: "class surface-positive" }), make("span", "negative", { class: "class surface-negative" }));
    else legend.replaceChildren();
  }

  element("field").addEventListener("input", choose);
  element("painted").addEventListener("input", surface);
  element("share").addEventListener("input", surface);
  element("previous").addEventListener("click", () => look(place - 1));
  element("next").addEventListener("click", () => look(place + 1));
  element("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
  window.addEventListener("resize", () => { if (dialog.open && cloud) view.draw(); });

  filter();
  document.documentElement.dataset.usable = performance.now().toFixed(0);
  // A link to a molecule opens it once the clouds are there.
  const linked = /^#molecule=(.*)$/.exec(location.hash);
  if (linked) window.addEventListener("DOMContentLoaded", () => look(found.findIndex((row) => row.id === decodeURIComponent(linked[1]))));
})();
