"""The bar chart of the page: kiln's time by ONNX Runtime's, a network a line."""
from tables import TITLES, geometric_mean, has_two_threads, ratio

LEFT, WIDTH, RIGHT, TOP, ROW, BAR = 170, 520, 60, 64, 30, 10
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .number { font-size: 10px }
  .title { font-size: 14px }
  .title, .mean { font-weight: 600 }
  .grid { stroke: #8c959f; stroke-opacity: .35 }
  .even { stroke: #8c959f; stroke-width: 1.5 }
  .one { fill: #2f7ebc } .two { fill: #7fb2d9 } .one.slower { fill: #d1663c } .two.slower { fill: #e5a588 }
  @media (prefers-color-scheme: dark) { text { fill: #d0d7de } }
"""


def bar(y, value, kind, scale):
    css = kind + (" slower" if value > 1 else "")
    return (f'<rect class="{css}" x="{LEFT}" y="{y}" width="{value * scale:.1f}" height="{BAR}" rx="1"/>'
            f'<text class="number" x="{LEFT + value * scale + 5:.1f}" y="{y + BAR - 1}">{value:.2f}</text>')


def legend(threads):
    found = ['<text class="title" x="10" y="20">Time of kiln, ONNX Runtime = 1 (shorter is faster)</text>']
    for i, (kind, what) in enumerate([("one", "one thread"), ("two", "two threads")][:threads]):
        x = LEFT + i * 110
        found.append(f'<rect class="{kind}" x="{x}" y="32" width="{BAR}" height="{BAR}" rx="1"/>'
                     f'<text x="{x + 16}" y="41">{what}</text>')
    x = LEFT + threads * 110
    found.append(f'<rect class="one slower" x="{x}" y="32" width="{BAR}" height="{BAR}" rx="1"/>'
                 f'<text x="{x + 16}" y="41">kiln is slower</text>')
    return found


def svg(records):
    threads = 2 if has_two_threads(records) else 1
    kinds = [("1", "one"), ("2", "two")][:threads]
    values = {TITLES[name]: [ratio(r, n) for n, _ in kinds] for name, r in records.items()}
    values["geometric mean"] = [geometric_mean(column) for column in zip(*values.values())]
    most = max(1.1, *(v for row in values.values() for v in row))
    scale, bottom = WIDTH / most, TOP + ROW * len(values)
    width, height = LEFT + WIDTH + RIGHT, bottom + 24
    found = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             f'viewBox="0 0 {width} {height}" role="img" aria-label="Time of kiln by network, ONNX Runtime = 1">',
             f"<style>{STYLE}</style>", *legend(threads)]
    for tick in range(int(most / 0.25) + 1):
        x, value = LEFT + tick * 0.25 * scale, tick * 0.25
        found.append(f'<line class="{"even" if value == 1 else "grid"}" x1="{x:.1f}" y1="{TOP - 8}" '
                     f'x2="{x:.1f}" y2="{bottom}"/>'
                     f'<text class="number" text-anchor="middle" x="{x:.1f}" y="{bottom + 14}">{value:g}</text>')
    for i, (title, row) in enumerate(values.items()):
        y = TOP + i * ROW
        css = ' class="mean"' if i == len(values) - 1 else ""
        found.append(f'<text{css} text-anchor="end" x="{LEFT - 8}" y="{y + BAR + 4}">{title}</text>')
        found += [bar(y + k * (BAR + 2), v, kind, scale) for k, (v, (_, kind)) in enumerate(zip(row, kinds))]
    return "\n".join(found + ["</svg>", ""])
