# Reads a coverage profile of several test binaries and prints the share of
# statements covered, by package and in all. A block counts once, however many
# binaries were built with it.
NR == 1 { next } # mode
{
	statements[$1] = $2
	if ($3 > 0) covered[$1] = 1
}
END {
	for (block in statements) {
		package = block
		sub(/\/[^\/]*$/, "", package)
		all[package] += statements[block]
		total += statements[block]
		if (block in covered) {
			hit[package] += statements[block]
			totalHit += statements[block]
		}
	}
	for (package in all) printf "%6.1f %%  %s\n", 100 * hit[package] / all[package], package | "sort -k3"
	close("sort -k3")
	printf "%6.1f %%  in all\n", total ? 100 * totalHit / total : 0
}
