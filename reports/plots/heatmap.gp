# SPDX-License-Identifier: Apache-2.0
# Depth x length: share of items found.  Set before: data, title_text, subtitle, columns, rows,
# height (pixels).  Table: x y length depth share lo hi n label (x, y count cells from 1).
set datafile separator "\t"
set datafile missing '-'
set datafile columnheaders
set datafile commentschars ''

# Viridis (van der Walt and Smith 2015), nine stops.
set palette defined (0.000 '#440154', 0.125 '#482878', 0.250 '#3e4a89', 0.375 '#31688e', \
                     0.500 '#26838f', 0.625 '#1f9d8a', 0.750 '#6cce5a', 0.875 '#b6de2b', 1.000 '#fee825')
set cbrange [0:1]
set cbtics 0, 0.25, 1 format '%.2f' scale 0.5
set cblabel 'share of items found' offset 0.5
set colorbox user origin screen 0.87, graph 0 size screen 0.025, graph 1

set lmargin at screen 0.14
set rmargin at screen 0.84
set tmargin at screen 1 - 70.0 / height
set bmargin at screen 70.0 / height
set title sprintf('%s', title_text) noenhanced font ',15' offset 0, 1.1
set label 1 subtitle at graph 0.5, graph 1.05 center noenhanced textcolor rgb '#555555'
set xlabel 'context length (tokens)'
set ylabel 'depth of the fact in the context' offset 0.5
set xrange [0.5:columns + 0.5]
set yrange [rows + 0.5:0.5]
set tics scale 0 nomirror
set border 0
unset key

set xtics ()
set ytics ()
plot data using 1:2:(0.49):(0.49):(valid(5) ? $5 : NaN) with boxxy fill solid noborder linecolor palette, \
     '' using 1:(valid(5) ? NaN : $2):(0.49):(0.49) with boxxy fill solid noborder linecolor rgb '#e4e4e4', \
     '' using 1:(valid(5) && $5 < 0.6 ? $2 : NaN):9 with labels noenhanced textcolor rgb 'white', \
     '' using 1:(valid(5) && $5 >= 0.6 ? $2 : NaN):9 with labels noenhanced textcolor rgb 'black', \
     '' using 1:(valid(5) ? NaN : $2):9 with labels noenhanced textcolor rgb '#555555', \
     '' using 1:(rows + 0.5):xticlabels(3) with dots linecolor rgb 'white', \
     '' using (0.5):2:yticlabels(4) with dots linecolor rgb 'white'
