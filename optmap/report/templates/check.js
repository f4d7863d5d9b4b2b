"use strict";
(() => {
  const list = document.getElementById("list"), body = list.tBodies[0], form = document.getElementById("filter");
  const rows = [...body.rows];
  const keys = [
    (row) => row.cells[0].textContent, (row) => row.cells[1].textContent, (row) => Number(row.dataset.rank),
    (row) => row.dataset.mark, (row) => Number(row.dataset.drift), (row) => row.cells[5].textContent,
  ];
  [...list.tHead.rows[0].cells].forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of list.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1);
      body.append(...rows.slice().sort((a, b) => order(keys[index](a), keys[index](b))));
    });
  });
  const filter = () => {
    const text = form.elements.text.value.toLowerCase(), level = form.elements.level.value, mark = form.elements.mark.value;
    let shown = 0;
    for (const row of rows) {
      const keep = (!level || row.dataset.level === level) && (!mark || row.dataset.mark === mark) && row.textContent.toLowerCase().includes(text);
      row.hidden = !keep;
      const detail = document.getElementById(row.querySelector("a").hash.slice(1));
      if (detail) detail.hidden = !keep;
      shown += keep;
    }
    form.querySelector("output").textContent = `${shown} of ${rows.length} pairs`;
  };
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
  const open = () => {
    const wanted = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (wanted && wanted.tagName === "DETAILS") {
      wanted.hidden = false;
      wanted.open = true;
      wanted.scrollIntoView();
    }
  };
  addEventListener("hashchange", open);
  open();
})();
