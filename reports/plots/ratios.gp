# SPDX-License-Identifier: Apache-2.0
# Distribution of log10(error / limit), one ridge a kernel.  Set before: data, title_text, subtitle,
# kernels, low, high and step (decades), width, height and
# left (pixels), and for k = 1 .. kernels: kernel_k, count_k, worst_k.
# Table: k x height count side   (x = left edge of a bin in decades; side = within | beyond).
set datafile separator "\t"
set datafile missing '-'
set datafile columnheaders
set datafile commentschars ''

set lmargin at screen 1.0 * left / width
set rmargin at screen 1 - 160.0 / width
set tmargin at screen 1 - 72.0 / height
set bmargin at screen 56.0 / height
set title sprintf('%s', title_text) noenhanced font ',15' offset 0, 1.1
set label 1 subtitle at graph 0.5, screen 1 - 56.0 / height center noenhanced textcolor rgb '#555555'
set xrange [low:high]
set yrange [kernels + 0.35:-0.15]
set format x '10^{%.0f}'
set xtics 1 nomirror
set xtics add (sprintf('≤10^{%.0f}', low) low)
set xlabel 'error / limit'
set border 1 linecolor rgb '#555555'
unset ytics
set grid xtics linecolor rgb '#e4e4e4' linetype 1
unset key
set arrow 1 from 0, graph 0 to 0, graph 1 nohead linecolor rgb '#d55e00' linewidth 2 front
set label 2 'limit' at 0, graph 1.0 offset 0.6, -0.6 textcolor rgb '#d55e00' front
do for [k = 1:kernels] {
    set label 10 + k value(sprintf('kernel_%d', k)) at graph -0.02, first k - 0.15 right noenhanced
    set label 1000 + k sprintf('worst %s, n = %d', value(sprintf('worst_%d', k)), value(sprintf('count_%d', k))) \
        at graph 1.01, first k - 0.15 left noenhanced font ',11' textcolor rgb '#555555'
}
plot for [k = 1:kernels] (k) with lines linecolor rgb '#999999' linewidth 0.7, \
     data using (column('x') + step / 2):(column('k') - column('height') / 2):(step / 2):(column('height') / 2) \
         with boxxyerror fill solid noborder linecolor rgb '#0072b2', \
     data using (strcol('side') eq 'beyond' ? column('x') + step / 2 : NaN):(column('k') - column('height') / 2):(step / 2):(column('height') / 2) \
         with boxxyerror fill solid noborder linecolor rgb '#d55e00'
