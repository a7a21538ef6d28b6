# SPDX-License-Identifier: Apache-2.0
# Known bugs by class, a bar each: caught and named, caught, missed.  Set before: data, title_text,
# subtitle, classes, width and height (pixels).
# Table: k class named caught missed   (named are among caught).
set datafile separator "\t"
set datafile columnheaders
set datafile commentschars ''

set lmargin at screen 180.0 / width
set rmargin at screen 1 - 30.0 / width
set tmargin at screen 1 - 66.0 / height
set bmargin at screen 86.0 / height
set title title_text noenhanced font ',15' offset 0, 0.9
set label 1 subtitle at graph 0.5, screen 1 - 52.0 / height center noenhanced textcolor rgb '#555555'
set yrange [classes + 0.6:0.4]
set xrange [0:*]
set xtics nomirror
set border 1 linecolor rgb '#555555'
set grid xtics linecolor rgb '#e4e4e4' linetype 1
set ytics scale 0 noenhanced
set xlabel 'bugs'
set key at screen 0.5, screen 18.0 / height center horizontal maxcols 3 width -4 samplen 1.2 noenhanced
set style fill solid noborder
h = 0.36
plot data using (column('named') / 2.0):(column('k')):(column('named') / 2.0):(h):yticlabels(2) \
         with boxxyerror linecolor rgb '#0072b2' title 'caught and named', \
     data using (column('named') + (column('caught') - column('named')) / 2.0):(column('k')):((column('caught') - column('named')) / 2.0):(h) \
         with boxxyerror linecolor rgb '#56b4e9' title 'caught, not named', \
     data using (column('caught') + column('missed') / 2.0):(column('k')):(column('missed') / 2.0):(h) \
         with boxxyerror linecolor rgb '#d55e00' title 'missed'
