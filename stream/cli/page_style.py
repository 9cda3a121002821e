"""The style of pages, for light and dark screens and for paper."""

STYLE = """
:root { --text: #1d1f23; --quiet: #5c626c; --paper: #ffffff; --line: #d9dce1; --for: #1b6ca8; --against: #b4530b;
  --alarm: #b3261e; --fine: #2e6b34; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e8eb; --quiet: #a3a9b3; --paper: #16181c; --line: #3a3f47; --for: #6db3e8; --against: #f0a05a;
    --alarm: #f2938c; --fine: #86c98d; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--paper); margin: 0; }
main { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .3rem; }
.quiet, caption, figcaption { color: var(--quiet); } caption { text-align: left; padding: .4rem 0; }
.alarm { color: var(--alarm); font-weight: 600; } .fine { color: var(--fine); }
.note { border-left: 4px solid var(--against); padding-left: .8rem; }
table { border-collapse: collapse; } tr { border-bottom: 1px solid var(--line); }
th, td { padding: .2rem .7rem .2rem 0; text-align: left; font-weight: normal; } thead th { color: var(--quiet); }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; } .total th, .total td { font-weight: 600; }
.wide { overflow-x: auto; } svg { max-width: 100%; height: auto; vertical-align: middle; }
.axis { stroke: var(--quiet); } .for { fill: var(--for); } .against { fill: var(--against); }
.value { fill: var(--for); } .error { stroke: var(--text); } .honest { stroke: var(--fine); stroke-width: 2; }
.value.out { fill: var(--alarm); } .range { fill: var(--fine); opacity: .16; } .label { fill: var(--text); font-size: 13px; }
.label.alarm { fill: var(--alarm); } .track { stroke: var(--line); stroke-width: 2; } .moved { stroke: var(--alarm); stroke-width: 3; }
.ring { fill: var(--paper); stroke: var(--text); stroke-width: 2; } .dot { fill: var(--alarm); }
.card { border: 1px solid var(--line); border-radius: .6rem; padding: .2rem 1.2rem 1.2rem; margin: 1.2rem 0; }
.card h2 { margin-top: 1rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; } a { color: inherit; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
.pixels { image-rendering: pixelated; border-radius: .3rem; display: block; max-width: 100%; }
.tick { fill: var(--quiet); font-size: 11px; } .sign { fill: var(--text); font-size: 13px; font-weight: 700; }
.outline { fill: none; stroke: var(--text); stroke-width: 1.5; opacity: .75; }
.said { display: flex; flex-wrap: wrap; gap: .3rem; }
.word { display: inline-flex; flex-direction: column; padding: .1rem .4rem; border-radius: .3rem; border-bottom: 4px solid; }
.word small { color: var(--quiet); font-variant-numeric: tabular-nums; }
.word.for { border-color: color-mix(in srgb, var(--for) calc(var(--strength) * 100%), transparent); }
.word.against { border-color: color-mix(in srgb, var(--against) calc(var(--strength) * 100%), transparent); }
.share.for { background: color-mix(in srgb, var(--for) calc(var(--strength) * 45%), transparent); }
.share.against { background: color-mix(in srgb, var(--against) calc(var(--strength) * 45%), transparent); }
.faces { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; }
figure svg { border: 1px solid var(--line); margin-right: .3rem; }
footer { margin-top: 2rem; border-top: 1px solid var(--line); }
"""
