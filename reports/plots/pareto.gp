# SPDX-License-Identifier: Apache-2.0
# Quality against cost, one panel a context length, with the frontier.  Set before: data, title_text,
# panels, across, down, kernels, low_cost,
# width, height and legend (pixels), length_i for i = 1 .. panels, kernel_k for k = 1 .. kernels (the first is dense).
# Table: panel kind k kernel cost share lo hi   (kind: point | frontier; k counts kernels from 1).
set datafile separator "\t"
set datafile missing '-'
set datafile columnheaders
set datafile commentschars ''

# Okabe and Ito 2008; each kernel has a point type of its own too.
array colour[8] = [0x000000, 0xe69f00, 0x56b4e9, 0x009e73, 0xd55e00, 0x0072b2, 0xcc79a7, 0x8a7f00]
array shape[12] = [6, 5, 9, 11, 13, 15, 7, 4, 8, 10, 12, 14]
paint(k) = colour[(int(k) - 1) % 8 + 1]
mark(k) = shape[(int(k) - 1) % 12 + 1]
size(k) = k == 1 ? 1.7 : 1.1
here(i) = column('panel') == i && strcol('kind') eq 'point'
edge(i) = column('panel') == i && strcol('kind') eq 'frontier'

set logscale x
set xrange [low_cost:1.25]
set yrange [-0.03:1.05]
set xtics ('1 %%' 0.01, '2 %%' 0.02, '5 %%' 0.05, '10 %%' 0.1, '20 %%' 0.2, '50 %%' 0.5, '100 %%' 1) nomirror
set ytics 0, 0.25, 1 format '%.2f' nomirror
set border 3 linecolor rgb '#555555'
set grid linecolor rgb '#e4e4e4' linetype 1
set style line 100 linewidth 6 linecolor rgb '#dddddd'

set multiplot title sprintf('%s', title_text) noenhanced font ',15'
panel_w = (width - legend - 70.0) / width / across
panel_h = (height - 70.0) / height / down
do for [i = 1:panels] {
    col = (i - 1) % across
    row = (i - 1) / across
    set lmargin at screen 70.0 / width + col * panel_w
    set rmargin at screen 70.0 / width + (col + 1) * panel_w - 50.0 / width
    set tmargin at screen 1 - 72.0 / height - row * panel_h
    set bmargin at screen 1 - 72.0 / height - (row + 1) * panel_h + 90.0 / height
    set title value(sprintf('length_%d', i)) noenhanced font ',13' offset 0, -0.6
    set xlabel (row == down - 1 || i + across > panels ? 'keys really read' : '')
    set ylabel (col == 0 ? 'share of items found' : '') offset 1
    if (i == 1) {
        set key at screen 1 - (legend - 5.0) / width, screen 1 - 72.0 / height left top vertical maxrows kernels + 1 Left reverse noenhanced samplen 1 spacing 1.25
    } else {
        unset key
    }
    plot data using (edge(i) ? column('cost') : NaN):(column('share')) with lines linestyle 100 notitle, \
         for [k = 1:kernels] data using (here(i) && column('k') == k ? column('cost') : NaN):(column('share')):(column('lo')):(column('hi')) \
             with yerrorbars linecolor rgb paint(k) pointtype mark(k) pointsize size(k) notitle, \
         for [k = 1:kernels] keyentry with points linecolor rgb paint(k) pointtype mark(k) pointsize size(k) \
             title value(sprintf('kernel_%d', k)), \
         keyentry with lines linestyle 100 title 'frontier'
}
unset multiplot
