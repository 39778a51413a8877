#!/bin/bash
# Checks the models with Spin and prints a table.  Builds in a temporary folder, which it removes.
#   run.sh                    all rows of rows.txt, two at a time
#   run.sh C                  those of one model
#   run.sh C R_SNAP           one row
#   run.sh C R_SNAP --steps   the steps of its counterexample: who, and what changed
# LIMIT: seconds a row may take (600).
set -u
here=$(cd "$(dirname "$0")" && pwd)
model=${1:-.}; name=${2:-}; steps=${3:-}

one() { # model how name defines...
  local m=$1 how=$2 name=$3; shift 3
  local file flags=(-DSAFETY -DNOCLAIM) run=(-m3000000) live=()
  case $m in A) file=ownership;; B) file=waiting;; C) file=shares; run+=(-E);; D) file=shares-waiting; run+=(-E);; esac
  case $how in
    bfs) flags+=(-DBFS); run=("${run[@]/-m3000000/-m300}");;
    dfs) ;;
    *) flags=(-DNFAIR=4); run=(-m1000000 -a -f -N "$how"); live=(-DLIVE);;
  esac
  local d=$work/$m-$name; mkdir -p "$d"; cp "$here/$file.pml" "$d/m.pml"; cd "$d" || exit 1
  spin "${live[@]}" "$@" -a m.pml >spin.log 2>&1 || { echo "| $m | $name | Spin refuses it: $(tail -1 spin.log) | | | | |"; return; }
  gcc -O2 -w -DVECTORSZ=2048 -DCOLLAPSE -DMEMLIM=9000 "${flags[@]}" -o pan pan.c || return
  { TIMEFORMAT=%U; time timeout -s INT "${LIMIT:-600}" ./pan "${run[@]}" >pan.log 2>&1; } 2>cpu.log
  local found="none found" length="" complete=yes
  if grep -q "assertion violated" pan.log; then
    # The comment beside the assertion says what was violated.
    local line; line=$(spin "${live[@]}" "$@" -t m.pml 2>&1 | sed -n 's/^spin: m.pml:\([0-9]*\), Error: assertion violated.*/\1/p' | head -1)
    found="violated: $(sed -n "${line:-0}p" m.pml 2>/dev/null | sed -n 's|.*/\* \(.*\) \*/.*|\1|p')"
  elif grep -q "acceptance cycle" pan.log; then
    found="violated: \`$how\`"
  fi
  if [[ $found != none* ]]; then
    length=$(sed -n 's/.*depth reached \([0-9]*\), errors: [1-9].*/\1/p' pan.log); complete="stopped at the error"
    [ -n "${live[*]}" ] && length="cycle, $length"
  elif ! grep -q "errors: 0" pan.log || grep -qE "not completed|max search depth" pan.log; then
    complete=INCOMPLETE
  fi
  echo "| $m | $name | $found | $length | $(grep -oE '[0-9.e+]+ states, stored' pan.log | cut -d' ' -f1) | $(cat cpu.log) s | $(sed -n 's/ *\([0-9]*\)[.0-9]*\ttotal actual memory.*/\1 MB/p' pan.log) | $complete |"
  [ -z "$steps" ] || spin "${live[@]}" -t -p -g "$@" m.pml 2>/dev/null | python3 "$here/steps.py"
}

if [ "${WORK:-}" ]; then
  work=$WORK; P="-DTTL=3 -DTAKE=1 -DNAFTER=1 -DGA=1 -DMAXSEQ=2 -DCUTS=2 -DNOGUARD -DNOSHORT -DPRES"
  Q="-DTTL=4 -DTAKE=2 -DNAFTER=2 -DGA=1 -DMAXSEQ=2 -DCUTS=2 -DNOGUARD -DNOSHORT -DPRES"
  G="-DTTL=2 -DNAFTER=1 -DGA=2 -DMAXSEQ=4 -DCUTS=0 -DNOSHORT -DNOHB"
  S="-DTTL=3 -DSTTL=1 -DNAFTER=1 -DGA=1 -DMAXSEQ=2 -DCUTS=0 -DNOGUARD -DNOHB"
  steps=${STEPS:-}; row=$*; row=${row//\$P/$P}; row=${row//\$Q/$Q}; row=${row//\$G/$G}; row=${row//\$S/$S}
  # shellcheck disable=SC2086
  one $row
  [ -n "$steps" ] || rm -rf "$work/$1-$3"
  exit
fi
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
echo "| model | row | result | steps | states | CPU | memory | complete |"
echo "|---|---|---|---|---|---|---|---|"
grep -E "^$model " "$here/rows.txt" | awk -v n="$name" '!/^#/ && (n == "" || $3 == n)' |
  WORK=$work STEPS=$steps xargs -P2 -L1 "$here/run.sh"
