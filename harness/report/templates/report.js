// Sorts and filters the table and chooses two models. Without it everything is there as well,
// in the order of the plan.
(() => {
  "use strict";

  const FIRST = 8; // examples that are shown before more are asked for
  const table = document.getElementById("ablation");
  if (table) {
    makeSortable(table);
    makeFilter(table);
  }
  document.querySelectorAll(".disagreement").forEach(makePair);
  unfoldForPaper();

  // a button in each heading; the first click puts the better values on top
  function makeSortable(table) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, place) => {
      if (heading.dataset.kind === "none") return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      heading.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const first = heading.dataset.first || "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const order = heading.getAttribute("aria-sort") === first ? other : first;
        headings.forEach((one) => one.hasAttribute("aria-sort") && one.setAttribute("aria-sort", "none"));
        heading.setAttribute("aria-sort", order);
        for (const body of table.tBodies) sort(body, place, order);
      });
    });
  }

  // lines stay below the heading of their data set, and what is missing goes last
  function sort(body, place, order) {
    const lines = [...body.querySelectorAll("tr.line")];
    const value = (line) => line.cells[place].dataset.sort;
    const sign = order === "ascending" ? 1 : -1;
    lines.sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      const numbers = [Number(a), Number(b)];
      if (numbers.some(Number.isNaN)) return sign * a.localeCompare(b);
      return sign * (numbers[0] - numbers[1]);
    });
    body.append(...lines);
  }

  // every word has to be somewhere in the line, or in the name of its data set
  function makeFilter(table) {
    const form = document.getElementById("controls");
    const text = document.getElementById("filter");
    const dataset = document.getElementById("dataset");
    const shown = document.getElementById("shown");
    const total = table.querySelectorAll("tr.line").length;
    const apply = () => {
      const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const body of table.tBodies) {
        let here = 0;
        for (const line of body.querySelectorAll("tr.line")) {
          const said = `${body.dataset.name} ${line.textContent}`.toLowerCase();
          const chosen = !dataset || !dataset.value || dataset.value === body.id;
          line.hidden = !(chosen && words.every((word) => said.includes(word)));
          if (!line.hidden) here += 1;
        }
        body.hidden = here === 0;
        count += here;
      }
      shown.value = `${count} of ${total} lines`;
    };
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    text.addEventListener("input", apply);
    if (dataset) dataset.addEventListener("change", apply);
    apply();
  }

  // of the examples those that divide the two models, with the answers of these two
  function makePair(part) {
    const form = part.querySelector("form");
    const [first, second] = form.querySelectorAll("select");
    const pairs = JSON.parse(part.dataset.pairs);
    const examples = [...part.querySelectorAll(".example")];
    const more = makeMore(part, examples);
    let expanded = false;
    let printed = false;
    more.firstChild.addEventListener("click", () => {
      expanded = true;
      apply();
    });
    const apply = () => {
      const [a, b] = [Number(first.value), Number(second.value)];
      for (const [key, count] of Object.entries(pairs[a][b])) {
        part.querySelector(`[data-count="${key}"]`).textContent = count.toLocaleString("en");
      }
      part.querySelector('[data-name="first"]').textContent = first.selectedOptions[0].text;
      part.querySelector('[data-name="second"]').textContent = second.selectedOptions[0].text;
      let count = 0;
      for (const example of examples) {
        const answers = example.dataset.answers.split(",");
        example.hidden = answers[a] === answers[b];
        if (!example.hidden) count += 1;
        if (count > FIRST && !expanded && !printed) example.hidden = true;
        for (const said of example.querySelectorAll("li")) {
          said.hidden = ![a, b].includes(Number(said.dataset.place));
        }
      }
      more.hidden = expanded || count <= FIRST;
      more.firstChild.textContent = `Show ${count - FIRST} more`;
      part.querySelector(".nothing").hidden = count > 0 || examples.length === 0;
    };
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", apply);
    const print = (now) => {
      printed = now;
      apply();
    };
    addEventListener("beforeprint", () => print(true));
    addEventListener("afterprint", () => print(false));
    apply();
  }

  // on paper nothing can be opened; what was closed is closed again afterwards
  function unfoldForPaper() {
    const opened = [];
    addEventListener("beforeprint", () => {
      for (const part of document.querySelectorAll("details:not([open])")) {
        part.open = true;
        opened.push(part);
      }
    });
    addEventListener("afterprint", () => {
      for (const part of opened.splice(0)) part.open = false;
    });
  }

  // all examples in one place, and a button where the rest was folded away
  function makeMore(part, examples) {
    const more = document.createElement("p");
    const button = document.createElement("button");
    button.type = "button";
    more.className = "more";
    more.append(button);
    const grid = part.querySelector(".examples");
    grid.append(...examples);
    part.querySelector("details.more")?.remove();
    grid.after(more);
    return more;
  }
})();
