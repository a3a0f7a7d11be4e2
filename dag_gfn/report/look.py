"""How the page looks: on a screen, on a narrow one, and on paper."""

from __future__ import annotations

# Okabe and Ito's colours, as in the pictures; words say whatever colours say.
STYLE = """\
:root {
  color-scheme: light;
  --ink: #1f2328; --soft: #57606a; --line: #d5dae0; --wash: #f5f7f9;
  --blue: #0072B2; --green: #009E73; --orange: #E69F00; --vermilion: #D55E00;
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body {
  margin: 0; background: #fff; color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans",
    sans-serif;
  overflow-wrap: break-word;
}
.page { max-width: 76rem; margin: 0 auto; padding: 0 1.5rem 4rem; }
header { padding: 2.5rem 0 1.25rem; border-bottom: 1px solid var(--line); margin-bottom: 1.5rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .8rem; letter-spacing: -.005em; }
h3 { font-size: 1.08rem; margin: 1.5rem 0 .4rem; }
h1, h2, h3, dd, tbody th { overflow-wrap: anywhere; }
p, ul, dl { margin: 0 0 1rem; }
main ul { padding-left: 1.3rem; }
p, main > section > ul, .note, figcaption { max-width: 44rem; }
header p, figcaption, .cards span, dt { color: var(--soft); }
header p { margin: 0; }
a { color: var(--blue); text-underline-offset: .15em; }
:focus-visible { outline: 3px solid var(--orange); outline-offset: 2px; }
.skip { position: absolute; left: -9999px; }
.skip:focus { position: static; }

nav h2 { font-size: .8rem; text-transform: uppercase; letter-spacing: .06em; color: var(--soft);
  margin: 0 0 .5rem; }
nav ol { list-style: none; margin: 0; padding: 0; }
nav a { display: block; padding: .2rem .6rem; text-decoration: none; color: var(--ink);
  border-left: 3px solid var(--line); }
nav a:hover, nav a:focus { border-color: var(--blue); color: var(--blue); }
section { padding: 1.75rem 0 .75rem; border-top: 1px solid var(--line); }
section:first-child { border-top: 0; padding-top: 0; }
main { min-width: 0; }
@media (min-width: 62rem) {
  .columns { display: grid; grid-template-columns: 12rem minmax(0, 1fr); gap: 3rem; }
  nav { position: sticky; top: 1.25rem; align-self: start; }
}
@media (max-width: 61.99rem) {
  nav { margin-bottom: 2rem; }
  nav ol { columns: 2; column-gap: 1rem; }
}
@media (max-width: 30rem) {
  .page { padding: 0 1rem 3rem; }
  header { padding-top: 1.5rem; }
  h1 { font-size: 1.55rem; }
}

.verdict { display: flex; gap: 1rem; padding: 1rem 1.25rem; margin: 0 0 1.25rem;
  border-left: 6px solid var(--mark); background: var(--wash); border-radius: 0 6px 6px 0; }
.verdict p { margin: 0; }
.verdict .icon { flex: none; width: 2rem; height: 2rem; border-radius: 50%; text-align: center;
  border: 2px solid var(--mark); color: var(--ink); font-weight: 700; line-height: 1.75rem; }
.good { --mark: var(--green); } .fair { --mark: var(--orange); } .poor { --mark: var(--vermilion); }
.note { padding: .6rem 1rem; border-left: 4px solid var(--orange); background: #fff8e8; }
.cards { list-style: none; padding: 0; display: grid; gap: .75rem; max-width: none;
  grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); }
.cards li { border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem;
  line-height: 1.3; }
.cards b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.cards span { font-size: .875rem; }

.facts { display: grid; margin: 0 0 1.25rem; }
.facts > div { display: grid; grid-template-columns: 13rem minmax(0, 1fr); gap: 0 1rem;
  padding: .4rem 0; border-bottom: 1px solid var(--line); }
.facts dd { margin: 0; }
@media (max-width: 40rem) { .facts > div { grid-template-columns: minmax(0, 1fr); } }

.scroll { overflow-x: auto; max-width: 100%; }
figure { margin: 1.25rem 0 1.5rem; }
figure img { display: block; max-width: 100%; height: auto; }
figcaption { font-size: .9rem; margin-top: .4rem; }
.side-by-side { display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); }
.side-by-side figure { margin-top: .5rem; }
.table figcaption { margin: 0 0 .5rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .34rem 1.2rem .34rem 0; text-align: left; vertical-align: middle;
  border-bottom: 1px solid var(--line); }
thead th { border-bottom: 2px solid var(--ink); vertical-align: bottom; font-weight: 600;
  line-height: 1.3; }
tbody th { font-weight: 500; min-width: 7rem; }
.number { text-align: right; white-space: nowrap; }
thead .number { white-space: normal; }
.bar { display: inline-block; width: 5rem; height: .6rem; margin-right: .6rem; background: #e3e8ed;
  border-radius: 2px; overflow: hidden; vertical-align: baseline; text-align: left; }
.bar > span { display: block; height: 100%; background: var(--blue); }
.number .bar + span { display: inline-block; min-width: 3.2em; }
@media screen and (max-width: 40rem) {
  /* The names stay while the numbers scroll. */
  tbody th, thead th:first-child { position: sticky; left: 0; background: #fff; max-width: 45vw; }
}
svg { display: block; }
.interval .zero { stroke: #8b949e; stroke-width: 1; stroke-dasharray: 2 2; }
.interval .range { stroke: var(--blue); stroke-width: 3; }
.interval circle { fill: #fff; stroke: var(--ink); stroke-width: 1.5; }
.histogram { fill: var(--blue); }
details { margin: 0 0 1.25rem; }
summary { cursor: pointer; color: var(--blue); padding: .3rem 0; }
pre { background: var(--wash); border: 1px solid var(--line); border-radius: 6px;
  padding: .8rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .875rem;
  line-height: 1.5; }
code { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono",
  monospace; }
footer { margin-top: 1rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: .875rem; }

@page { margin: 16mm 14mm; }
@media print {
  body { font-size: 10pt; }
  .page { max-width: none; padding: 0; }
  .columns { display: block; }
  nav { position: static; margin-bottom: 1rem; }
  .skip { display: none; }
  nav ol { columns: 3; }
  a { color: inherit; }
  header { padding-top: 0; }
  h2, h3, .table figcaption, summary { break-after: avoid; }
  figure:not(.table), .verdict, .cards, tr, pre { break-inside: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; }
  figure img { min-width: 0 !important; max-height: 200mm; object-fit: contain;
    object-position: left; }
  .verdict, .bar, .bar > span { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
