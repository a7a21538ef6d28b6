"use strict";
(() => {
    const facets = ["variant", "task", "length", "verdict"];
    const field = Object.fromEntries(facets.map(f => [f, document.getElementById("f-" + f)]));
    const tagged = [...document.querySelectorAll(facets.map(f => `[data-${f}]`).join())];
    const failures = [...document.querySelectorAll("article")];

    /* What an element holds, its surroundings counted: a row of a task's table has that task. */
    const value = (e, f) => e.dataset[f] ?? e.parentElement.closest(`[data-${f}]`)?.dataset[f];

    function fill() {
        for (const f of facets) {
            const seen = [...new Set(tagged.map(e => e.dataset[f]).filter(v => v))];
            seen.sort((a, b) => a.localeCompare(b, "en", {numeric: true}));
            const list = f === "variant" ? document.getElementById("l-variant") : field[f];
            for (const v of seen)
                list.append(new Option(v, v));
        }
    }

    function filter() {
        const want = facets.filter(f => field[f].value !== "");
        const fits = (e, f) => {
            const v = value(e, f), w = field[f].value;
            if (v === undefined)
                return f === "variant" || f === "task" ||
                       !e.matches("article, section#cases tr");
            return f === "variant" ? v.includes(w) : v === w;
        };
        for (const e of tagged) {
            /* A table of a variant or a task as a whole has neither length nor verdict. */
            e.toggleAttribute("data-hide", !want.every(f => fits(e, f)));
            if (e.matches("details.task"))
                e.open = field.task.value !== "" && e.dataset.task === field.task.value || e.open;
        }
        for (const d of document.querySelectorAll("details.task"))
            if (want.length && !d.querySelector("tbody tr:not([data-hide])"))
                d.setAttribute("data-hide", "");
        const left = failures.filter(e => !e.hasAttribute("data-hide")).length;
        document.getElementById("shown").textContent =
            want.length ? `${left} of ${failures.length} failures fit` : "";
    }

    function keep() {
        const q = new URLSearchParams();
        for (const f of facets)
            if (field[f].value)
                q.set(f, field[f].value);
        const text = q.toString();
        history.replaceState(null, "", text ? "#?" + text : location.pathname + location.search);
        filter();
    }

    function recall() {
        if (!location.hash.startsWith("#?"))
            return;
        const q = new URLSearchParams(location.hash.slice(2));
        for (const f of facets)
            field[f].value = q.get(f) ?? "";
        filter();
    }

    function sort(head, table) {
        const column = [...head.parentElement.children].indexOf(head);
        const up = head.getAttribute("aria-sort") !== "ascending";
        const number = head.classList.contains("n");
        const key = row => {
            const text = row.children[column]?.textContent ?? "";
            return number ? parseFloat(text) : text;
        };
        const rows = [...table.tBodies[0].rows].map(r => [key(r), r]);
        rows.sort(([a], [b]) => {
            if (!number)
                return (up ? 1 : -1) * a.localeCompare(b, "en", {numeric: true});
            if (isNaN(a) || isNaN(b)) /* not measured: last, either way */
                return isNaN(a) - isNaN(b);
            return up ? a - b : b - a;
        });
        for (const h of head.parentElement.children)
            h.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        table.tBodies[0].append(...rows.map(([, r]) => r));
    }

    async function copy(code, button) {
        getSelection().selectAllChildren(code);
        let done = false;
        try {
            await navigator.clipboard.writeText(code.textContent);
            done = true;
        } catch {
            done = document.execCommand("copy");
        }
        button.textContent = done ? "Copied" : "Selected";
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
    }

    for (const table of document.querySelectorAll("table"))
        for (const head of table.tHead.rows[0].cells) {
            const button = document.createElement("button");
            button.type = "button";
            button.append(...head.childNodes);
            button.addEventListener("click", () => sort(head, table));
            head.append(button);
        }
    for (const code of document.querySelectorAll(".repro")) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "copy";
        button.textContent = "Copy";
        button.setAttribute("aria-label", "Copy the line that repeats this case");
        button.addEventListener("click", () => copy(code, button));
        code.after(button);
    }
    const form = document.getElementById("filter");
    fill();
    form.hidden = false;
    form.addEventListener("submit", e => e.preventDefault());
    form.addEventListener("input", keep);
    form.addEventListener("reset", () => setTimeout(keep));
    addEventListener("hashchange", recall);
    recall();
})();
