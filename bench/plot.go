// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// plot is a picture of figures: lines over a number, or bars for names. Every
// value is in the unit that its axis names.
type plot struct {
	title string
	x, y  string // what the axes say, with the unit
	log   bool   // the axis of the values is logarithmic
	lines []line
	bars  []bars // each value beside the others
	stack bool   // each value upon the others
}

// line is one series of a plot over numbers.
type line struct {
	name string
	at   []point
}

type point struct{ x, y float64 }

// bars is one series of a plot over names; the names of all series are the same.
type bars struct {
	name   string
	of     []string
	values []float64
}

const (
	plotWidth  = 820.0
	plotRight  = 30.0
	plotTop    = 74.0 // title and legend
	plotBottom = 52.0
	lineHeight = 340.0
	barHeight  = 13.0
	barGap     = 9.0
)

// The colours of Okabe and Ito can be told apart by everybody, and on white as
// well as on black.
var palette = [...]string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a", "#a6761d"}

// plotStyle follows the reader's theme, background and all.
const plotStyle = `<style>
.back{fill:#ffffff}.grid{stroke:#d8dee4;stroke-width:1}.axis{stroke:#57606a;stroke-width:1}text{fill:#1f2328;font:12px sans-serif}.title{font-size:15px;font-weight:600}
@media(prefers-color-scheme:dark){.back{fill:#0d1117}.grid{stroke:#30363d}.axis{stroke:#8b949e}text{fill:#e6edf3}}
</style>`

// canvas is a picture that is being drawn.
type canvas struct{ strings.Builder }

func (c *canvas) text(x, y float64, anchor, class, s string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`+"\n", x, y, anchor, class, html.EscapeString(s))
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(c, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

func (c *canvas) rect(x, y, w, h float64, fill, tip string) {
	fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s</title></rect>`+"\n", x, y, w, h, fill, html.EscapeString(tip))
}

// svg draws the plot.
func (p plot) svg() string {
	var c canvas
	height := plotTop + lineHeight + plotBottom
	if len(p.bars) > 0 {
		height = plotTop + p.barsHeight() + plotBottom
	}
	fmt.Fprintf(&c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img">`+"\n<title>%s</title>\n%s\n",
		plotWidth, height, plotWidth, height, html.EscapeString(p.title), plotStyle)
	fmt.Fprintf(&c, `<rect class="back" width="%.0f" height="%.0f"/>`+"\n", plotWidth, height)
	c.text(16, 24, "start", "title", p.title)
	p.legend(&c)
	if len(p.bars) > 0 {
		p.drawBars(&c)
	} else {
		p.drawLines(&c)
	}
	c.WriteString("</svg>\n")
	return c.String()
}

func (p plot) legend(c *canvas) {
	var names []string
	for _, l := range p.lines {
		names = append(names, l.name)
	}
	for _, b := range p.bars {
		names = append(names, b.name)
	}
	x, y := 16.0, 46.0
	for i, name := range names {
		w := 26 + textWidth(name)
		if x+w > plotWidth-10 && x > 16 {
			x, y = 16, y+17
		}
		c.rect(x, y-9, 12, 10, palette[i%len(palette)], name)
		c.text(x+17, y, "start", "", name)
		x += w
	}
}

// textWidth is about how wide a label is: nobody can measure it here.
func textWidth(s string) float64 { return 6.4 * float64(len([]rune(s))) }

// scale maps values to places on an axis.
type scale struct {
	least, most float64
	from, to    float64
	log         bool
}

func (s scale) at(v float64) float64 {
	share := (v - s.least) / (s.most - s.least)
	if s.log {
		share = math.Log(max(v, s.least)/s.least) / math.Log(s.most/s.least)
	}
	return s.from + share*(s.to-s.from)
}

// newScale begins at 0, or at a power of ten below the least value.
func newScale(values []float64, log bool, from, to float64) scale {
	least, most := math.Inf(1), 0.0
	for _, v := range values {
		most = max(most, v)
		if v > 0 {
			least = min(least, v)
		}
	}
	if most <= 0 {
		return scale{0, 1, from, to, false}
	}
	if log {
		s := scale{math.Pow(10, math.Floor(math.Log10(least))), math.Pow(10, math.Ceil(math.Log10(most))), from, to, true}
		if s.least == s.most {
			s.most *= 10
		}
		return s
	}
	step := niceStep(most)
	return scale{0, step * math.Ceil(most/step), from, to, false}
}

// niceStep is 1, 2 or 5 times a power of ten, four to eight times in most.
func niceStep(most float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, m := range []float64{5, 2} {
		if most/(unit*m) >= 4 {
			return unit * m
		}
	}
	return unit
}

func (s scale) ticks() (out []float64) {
	if s.log {
		for t := s.least; t <= s.most*1.01; t *= 10 {
			out = append(out, t)
		}
		return out
	}
	step := niceStep(s.most)
	for i := 0.0; i*step <= s.most*1.001; i++ {
		out = append(out, i*step)
	}
	return out
}

// tickText is short: 2500000 is 2.5M.
func tickText(v float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if v >= u.size {
			if u.name == "k" {
				u.size = 1e3
			}
			return strconv.FormatFloat(v/u.size, 'g', 4, 64) + u.name
		}
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

func (p plot) drawLines(c *canvas) {
	var xs, ys []float64
	for _, l := range p.lines {
		for _, at := range l.at {
			xs, ys = append(xs, at.x), append(ys, at.y)
		}
	}
	const left = 78.0
	bottom := plotTop + lineHeight
	x, y := newScale(xs, false, left, plotWidth-plotRight), newScale(ys, p.log, bottom, plotTop)
	for _, t := range y.ticks() {
		c.line("grid", left, y.at(t), plotWidth-plotRight, y.at(t))
		c.text(left-8, y.at(t)+4, "end", "", tickText(t))
	}
	for _, t := range x.ticks() {
		c.line("axis", x.at(t), bottom, x.at(t), bottom+5)
		c.text(x.at(t), bottom+19, "middle", "", tickText(t))
	}
	c.line("axis", left, bottom, plotWidth-plotRight, bottom)
	c.line("axis", left, plotTop, left, bottom)
	c.text((left+plotWidth-plotRight)/2, bottom+40, "middle", "", p.x)
	fmt.Fprintf(c, `<text transform="translate(18 %.1f) rotate(-90)" text-anchor="middle">%s</text>`+"\n", (plotTop+bottom)/2, html.EscapeString(p.y))
	for i, l := range p.lines {
		colour := palette[i%len(palette)]
		var path []string
		for _, at := range l.at {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(at.x), y.at(at.y)))
		}
		fmt.Fprintf(c, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`+"\n", colour, strings.Join(path, " "))
		for _, at := range l.at {
			fmt.Fprintf(c, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"><title>%s: %s</title></circle>`+"\n",
				x.at(at.x), y.at(at.y), colour, html.EscapeString(l.name), tickText(at.y))
		}
	}
}

func (p plot) barsHeight() float64 {
	thick := barHeight
	if p.stack {
		thick = 2 * barHeight
	} else {
		thick *= float64(len(p.bars))
	}
	return float64(len(p.bars[0].of)) * (thick + barGap)
}

func (p plot) drawBars(c *canvas) {
	names := p.bars[0].of
	left := 60.0
	for _, n := range names {
		left = max(left, 16+textWidth(n)+8)
	}
	values := make([]float64, 0, len(names)*len(p.bars))
	sums := make([]float64, len(names))
	for _, b := range p.bars {
		for i, v := range b.values {
			sums[i] += v
			values = append(values, v)
		}
	}
	if p.stack {
		values = sums
	}
	bottom := plotTop + p.barsHeight()
	const room = 50 // for the number behind the longest bar
	x := newScale(values, p.log && !p.stack, left, plotWidth-plotRight-room)
	for _, t := range x.ticks() {
		c.line("grid", x.at(t), plotTop, x.at(t), bottom)
		c.text(x.at(t), bottom+19, "middle", "", tickText(t))
	}
	c.line("axis", left, bottom, plotWidth-plotRight-room, bottom)
	c.line("axis", left, plotTop, left, bottom)
	c.text((left+plotWidth-plotRight-room)/2, bottom+40, "middle", "", p.x)
	group := p.barsHeight() / float64(len(names))
	for i, name := range names {
		top := plotTop + float64(i)*group + barGap/2
		c.text(left-8, top+(group-barGap)/2+4, "end", "", name)
		sum := 0.0
		for n, b := range p.bars {
			v := b.values[i]
			tip := fmt.Sprintf("%s, %s: %s", name, b.name, figure3(v))
			if p.stack {
				c.rect(x.at(sum), top, x.at(sum+v)-x.at(sum), group-barGap, palette[n%len(palette)], tip)
				sum += v
				continue
			}
			y := top + float64(n)*barHeight
			c.rect(left, y, max(x.at(v)-left, 0), barHeight-1, palette[n%len(palette)], tip)
			c.text(max(x.at(v), left)+5, y+barHeight-3, "start", "", figure3(v))
		}
		if p.stack {
			c.text(x.at(sum)+5, top+(group-barGap)/2+4, "start", "", figure3(sum))
		}
	}
}

// figure3 has three digits that count.
func figure3(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
