# SPDX-License-Identifier: Apache-2.0
# Recall against distance, one panel a kernel: what was measured, and its closed form.  Set before:
# data, title_text, panels, height (pixels), kernel_i for i = 1 .. panels.
# Table: panel kernel distance n share lo hi predicted.
set datafile separator "\t"
set datafile missing '-'
set datafile columnheaders
set datafile commentschars ''

here(i) = column('panel') == i
down = int((panels + 1) / 2)
across = panels > 1 ? 2 : 1
set logscale x 2
set yrange [-0.05:1.08]
set ytics 0, 0.25, 1 format '%.2f' nomirror
set xtics nomirror
set format x '%.0f'
set border 3 linecolor rgb '#555555'
set grid linecolor rgb '#e4e4e4' linetype 1

set multiplot title sprintf('%s', title_text) noenhanced font ',15'
panel_h = (height - 80.0) / height / down
do for [i = 1:panels] {
    col = (i - 1) % across
    row = (i - 1) / across
    set lmargin at screen 0.08 + col * 0.92 / across
    set rmargin at screen 0.08 + (col + 1) * 0.92 / across - 0.06
    set tmargin at screen 1 - 76.0 / height - row * panel_h
    set bmargin at screen 1 - 76.0 / height - (row + 1) * panel_h + 84.0 / height
    set title value(sprintf('kernel_%d', i)) noenhanced font ',13' offset 0, -0.6
    set xlabel (row == down - 1 || i + across > panels ? 'distance from the query (tokens)' : '')
    set ylabel (col == 0 ? 'share of facts found' : '') offset 1
    if (i == 1) {
        set key bottom left reverse Left samplen 2
    } else {
        unset key
    }
    plot data using (here(i) ? column('distance') : NaN):(column('predicted')) with lines linewidth 5 linecolor rgb '#e69f00' title 'closed form', \
         data using (here(i) ? column('distance') : NaN):(column('share')):(column('lo')):(column('hi')) \
             with yerrorbars linecolor rgb '#0072b2' pointtype 7 pointsize 0.8 title 'measured, 95 %'
}
unset multiplot
