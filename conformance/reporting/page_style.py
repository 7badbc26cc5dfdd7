"""Style sheet of the HTML report: light and dark, screen and print."""

STYLE = """\
:root {
  color-scheme: light dark;
  --ink: #1c1e21; --paper: #ffffff; --faint: #666b73; --line: #d9dce1; --shade: #f4f5f7;
  --good: #1a7f37; --bad: #c62828; --warn: #9a6700; --other: #6639ba; --sent: #1c1e21; --received: #0550ae;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e3e5e8; --paper: #16181b; --faint: #9aa0a8; --line: #363a40; --shade: #1f2226;
    --good: #4cc26a; --bad: #ff7b72; --warn: #d9a82f; --other: #b794f6; --sent: #e3e5e8; --received: #79b8ff;
  }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: .95rem; margin: 1rem 0 .3rem; }
.closing { padding: .7rem 1rem; border-left: .35rem solid; background: var(--shade); font-weight: 600; }
.good { border-color: var(--good); } .bad { border-color: var(--bad); } .unclear { border-color: var(--warn); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .6rem 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { padding: .2rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
.counts td { text-align: right; } .counts th { font-weight: 500; }
.clauses { width: 100%; font-size: .88rem; } .clauses .chapter th { padding-top: 1.2rem; }
.clauses .chapter th:first-child { font-size: 1rem; } .clauses .mark { text-align: center; }
.mark a { text-decoration: none; }
.id { white-space: nowrap; } .ids { color: var(--faint); font-size: .85rem; overflow-wrap: anywhere; }
.where, footer, .reason { color: var(--faint); }
details { border: 1px solid var(--line); border-radius: .3rem; margin: .4rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; }
blockquote { margin: .6rem 0; padding-left: .8rem; border-left: .2rem solid var(--line); }
.failure { margin: .8rem 0; padding-top: .2rem; border-top: 1px dashed var(--line); }
pre, code, .wire { font: .83rem/1.45 ui-monospace, monospace; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.observed { color: var(--bad); }
.wire { width: 100%; } .wire td:last-child { width: 100%; }
.sent { color: var(--sent); } .received { color: var(--received); }
.sign { font-weight: 700; color: var(--faint); }
.holds { color: var(--good); } .broken, .error { color: var(--bad); }
.deviation, .known { color: var(--warn); } .observed.sign { color: var(--received); } .blocked { color: var(--other); }
@media print { details { break-inside: avoid; } }
"""
