"""Style sheet and script of the page that compares brokers: the filters, and the failure that a mark leads to."""

STYLE = """\
:root { color-scheme: light dark; --line: #8886; --faint: #808790; --bad: #c62828; --warn: #9a6700; --good: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff7b72; --warn: #d9a82f; --good: #4cc26a; } }
body { margin: 1rem auto; max-width: 90rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; }
form { position: sticky; top: 0; background: Canvas; padding: .5rem 0; border-bottom: 1px solid var(--line); }
label { margin-right: 1rem; }
table { border-collapse: collapse; margin: .6rem 0; font-size: .88rem; }
th, td { padding: .1rem .5rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
.chapter th { padding-top: 1rem; }
.clauses td:first-child { white-space: nowrap; }
.clauses a { text-decoration: none; }
.b { color: var(--bad); font-weight: 700; } .d { color: var(--warn); font-weight: 700; } .k { color: var(--good); }
.u, small, i { color: var(--faint); }
tr.kept { display: none; } .every tr.kept { display: table-row; }
section { display: none; border: 1px solid var(--line); border-left: .3rem solid var(--bad); padding: 0 1rem; }
section:target { display: block; }
#failures { position: fixed; bottom: 0; left: 0; right: 0; max-height: 55vh; overflow: auto; background: Canvas; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .3rem 0; }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; } dt { color: var(--faint); }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: .83rem/1.4 ui-monospace, monospace; }
.r pre { color: #3f7fd0; }
[hidden] { display: none !important; }
@media print { #failures { position: static; max-height: none; } }
"""

SCRIPT = """\
const form = document.getElementById("filters");
function filter() {
  const names = ["broker", "transport", "version", "level"];
  const wanted = Object.fromEntries(names.map((name) => [name, form[name].value]));
  document.body.classList.toggle("every", form.all.checked);
  for (const about of document.querySelectorAll("[data-broker]")) {
    const {broker, transport, column} = about.dataset;
    about.hidden = Boolean((wanted.broker && broker !== wanted.broker)
      || (wanted.transport && transport && transport !== wanted.transport));
    if (column) for (const cell of document.querySelectorAll(".c" + column)) cell.hidden = about.hidden;
  }
  for (const row of document.querySelectorAll("tr[data-level]")) {
    for (const mark of row.querySelectorAll("a")) {
      const versions = mark.dataset.v ?? row.dataset.v;
      mark.hidden = Boolean(wanted.version && versions && !versions.split(" ").includes(wanted.version));
    }
    const bad = [...row.querySelectorAll(".b, .d")].some((mark) => !mark.hidden && !mark.closest("td").hidden);
    row.hidden = Boolean((wanted.level && row.dataset.level !== wanted.level) || (!bad && !form.all.checked));
  }
}
form.addEventListener("change", filter);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") location.hash = "#none"; });
filter();
"""
