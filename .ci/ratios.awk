# Reads the output of benchmarks run round by round, hands it on, and prints
# medians.
#
# BenchmarkX/case/floor and BenchmarkX/case/organic are a pair: the ratio is
# the median of the ratios of each round. "spread" is how far the floor's own
# samples lie apart, (max - min) / median: above 30 % the ratio says little.
# Everything else, metrics of its own included, is listed below the pairs.

{
	print
	fflush()
}

/^pkg: / { package = $2 }

/^Benchmark/ && NF >= 4 && $2 ~ /^[0-9]+$/ {
	key = package SUBSEP $1
	if (!(key in rounds)) order[keys++] = key
	round = ++rounds[key]
	for (i = 3; i < NF; i += 2) {
		if (!((key, $(i + 1)) in has)) {
			has[key, $(i + 1)] = 1
			units[key] = units[key] (units[key] == "" ? "" : " ") $(i + 1)
		}
		value[key, $(i + 1), round] = $i
	}
}

# sorted fills s[1..n] with a benchmark's samples of a unit; n is returned.
function sorted(key, unit, s,    n, i, j, v) {
	n = 0
	for (i = 1; i <= rounds[key]; i++) {
		if (!((key, unit, i) in value)) continue
		v = value[key, unit, i] + 0
		for (j = n++; j > 0 && s[j] > v; j--) s[j + 1] = s[j]
		s[j + 1] = v
	}
	return n
}

function middle(s, n) {
	if (n == 0) return 0
	return n % 2 ? s[(n + 1) / 2] : (s[n / 2] + s[n / 2 + 1]) / 2
}

function median(key, unit,    s, n) {
	n = sorted(key, unit, s)
	return middle(s, n)
}

function spread(key, unit,    s, n, m) {
	n = sorted(key, unit, s)
	m = middle(s, n)
	return m ? 100 * (s[n] - s[1]) / m : 0
}

# ratio is the median over the rounds of candidate / floor.
function ratio(candidate, floor,    i) {
	rounds["ratio"] = 0
	for (i = 1; i <= rounds[candidate] && i <= rounds[floor]; i++)
		if (value[floor, "ns/op", i] > 0)
			value["ratio", "x", ++rounds["ratio"]] = value[candidate, "ns/op", i] / value[floor, "ns/op", i]
	return median("ratio", "x")
}

function number(x) {
	return sprintf(x >= 100 || x == int(x) ? "%.0f" : x >= 10 ? "%.1f" : "%.2f", x)
}

# metrics lists all but ns/op, or all but what the pairs' table shows already.
function metrics(key, paired,    list, n, i, text) {
	n = split(units[key], list, " ")
	for (i = 1; i <= n; i++) {
		if (list[i] == "ns/op" || paired && (list[i] == "allocs/op" || list[i] == "B/op")) continue
		text = text (text == "" ? "" : ", ") number(median(key, list[i])) " " list[i]
	}
	return text
}

# label is a benchmark's name without "Benchmark" and the number of processors,
# which go test appends to every name, or to none when it is 1.
function label(key,    parts, name) {
	split(key, parts, SUBSEP)
	name = parts[2]
	sub(/^Benchmark/, "", name)
	if (processors != "") name = substr(name, 1, length(name) - length(processors))
	return name
}

function heading(key,    parts) {
	split(key, parts, SUBSEP)
	if (parts[1] == shown) return
	shown = parts[1]
	print "  " shown
}

END {
	if (keys == 0) {
		print "no benchmark matches"
		exit
	}
	for (i = 0; i < keys; i++) {
		suffix = match(order[i], /-[0-9]+$/) ? substr(order[i], RSTART) : ""
		if (i == 0) processors = suffix
		else if (suffix != processors) processors = ""
	}
	for (i = 0; i < keys; i++) {
		key = order[i]
		name = label(key)
		if (name !~ /\/organic$/) continue
		partner = key
		sub("/organic" processors "$", "/floor" processors, partner)
		if (partner in rounds) {
			floorOf[key] = partner
			paired[key] = paired[partner] = 1
			pairs++
		}
	}

	if (pairs) {
		printf "\n%-56s %12s %12s %7s %7s  %s\n", "against the floor", "floor ns", "organic ns", "ratio", "spread", "allocs"
		for (i = 0; i < keys; i++) {
			key = order[i]
			if (!(key in floorOf)) continue
			heading(key)
			floor = floorOf[key]
			name = label(key)
			sub(/\/organic$/, "", name)
			printf "    %-52s %12s %12s %7s %5.0f %%  %s / %s\n", name, number(median(floor, "ns/op")), number(median(key, "ns/op")),
				sprintf("%.2f", ratio(key, floor)), spread(floor, "ns/op"), median(floor, "allocs/op"), median(key, "allocs/op")
			if (metrics(floor, 1) != "") print "        floor: " metrics(floor, 1)
			if (metrics(key, 1) != "") print "        organic: " metrics(key, 1)
		}
	}

	shown = ""
	for (i = 0; i < keys; i++) {
		key = order[i]
		if (key in paired) continue
		if (!others++) printf "\n%-56s %12s  %s\n", "without a floor", "ns", "the rest"
		heading(key)
		printf "    %-52s %12s  %s\n", label(key), number(median(key, "ns/op")), metrics(key, 0)
	}
}
