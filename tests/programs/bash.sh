# needs: bash coreutils
# Arrays, here-documents, traps, job control, process substitution, arithmetic.
cat > t.bash <<'EOF'
a=(one "two three" four); a[7]=seven; declare -A m=([x]=1 [y]=2)
echo "${#a[@]} ${!a[*]} ${a[1]} ${m[x]}${m[y]}"
cat <<END
here $((6 * 7)) $(echo nested)
END
cat <<-'END'
	raw $HOME
	END
trap 'echo exit trap' EXIT
trap 'echo got usr1' USR1
kill -USR1 $$
f() { local x=$1; (( x > 0 )) && { echo -n "$x "; f $((x - 1)); }; return 0; }
f 5; echo
while read -r l; do echo "line: $l"; done < <(printf 'a\nb\n')
echo one two | { read x y; echo "$y $x"; }
[[ "abc123" =~ ^([a-z]+)([0-9]+)$ ]] && echo "${BASH_REMATCH[2]}"
x=hello; echo "${x^^} ${x:1:3} ${x/l/L} ${x//l/L} ${#x}"
( exit 3 ); echo "status $?"
false | true; echo "${PIPESTATUS[*]}"
set -o pipefail; false | true; echo "pipefail $?"
exec 5> out; echo to five >&5; exec 5>&-; cat out
for i in {1..3}; do sleep 0.0$i & done; wait; echo waited
sleep 5 & p=$!; until read -r c < /proc/$p/comm && [[ $c == sleep ]]; do sleep 0.01; done; kill $p; wait $p; echo "killed $?"
coproc C { read l; echo "co $l"; }
echo hi >&"${C[1]}"; read -r r <&"${C[0]}"; echo "$r"
echo *.bash; shopt -s nullglob; echo *.none; printf '%05d|%-5s|%x\n' 42 ab 255
ulimit -n > /dev/null && echo ulimit; type -t echo; echo "$BASHOPTS" | grep -c checkwinsize
EOF
bash t.bash
# Job control without a terminal.
cat > jobs.bash <<'EOF'
set -m
sleep 30 & sleep 31 &
jobs -r | sed 's/[0-9]* *sleep/sleep/'
kill -STOP %1; sleep 0.2; jobs | awk '{print $1, $2}'
kill -CONT %1; sleep 0.1; jobs | awk '{print $1, $2}'
kill %1 %2; wait; echo done
(sleep 0.1; exit 7) & wait $!; echo $?
EOF
bash jobs.bash 2>/dev/null
