# SPDX-License-Identifier: Apache-2.0
# Citation offsets, one panel a kernel, dense first.  Set before: data, title_text, panels, reach,
# height (pixels), kernel_i and none_i (share that cites no document) for i = 1 .. panels.
# Table: panel kernel offset n share   (the outermost offsets hold all beyond them).
set datafile separator "\t"
set datafile missing '-'
set datafile columnheaders
set datafile commentschars ''

here(i) = column('panel') == i
down = int((panels + 1) / 2)
across = panels > 1 ? 2 : 1
set xrange [-reach - 0.6:reach + 0.6]
set yrange [0:1.05]
set ytics 0, 0.25, 1 format '%.2f' nomirror
set xtics -reach, 1, reach nomirror
set border 3 linecolor rgb '#555555'
set grid ytics linecolor rgb '#e4e4e4' linetype 1
unset key

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
    set xlabel (row == down - 1 || i + across > panels ? 'offset (documents)' : '')
    set ylabel (col == 0 ? 'share of citations' : '') offset 1
    set label 1 sprintf('none cited: %.0f %%', 100 * value(sprintf('none_%d', i))) at graph 0.98, graph 0.9 right textcolor rgb '#555555'
    plot data using (here(i) ? column('offset') : NaN):(column('offset') == 0 ? column('share') : NaN):(0.8) with boxes fill solid noborder linecolor rgb '#0072b2', \
         data using (here(i) ? column('offset') : NaN):(column('offset') == 0 ? NaN : column('share')):(0.8) with boxes fill solid noborder linecolor rgb '#d55e00'
}
unset multiplot
