# needs: coreutils findutils grep sed gawk
umask 022
seq 1 1000 > n; wc n; head -3 n; tail -2 n; sort -rn n | head -2; shuf -i 1-10 | sort -n | tr '\n' ' '; echo
md5sum n; sha256sum n | cut -c1-16; cksum n; base64 n | tail -1; od -An -tx1 n | head -1; split -l 300 n part.; ls part.*; cat part.* | cmp - n && echo same
mkdir -p a/b/c; touch -d '2001-02-03 04:05:06 UTC' a/f a/b; stat -c '%n %s %a %F %Y' a/f a/b; cp -a a z; diff -r a z && echo equal
ln -s f a/l; touch -h -d @1000000 a/l; ln a/f a/h; ls -l --time-style=+%s a | awk '{print $1, $2, $6, $7, $8, $9}'; readlink -f a/l | xargs basename; mv z y; rm -r y; test -e y || echo gone
chmod u=rwx,g=rx,o= a/f; stat -c %A a/f; install -m 640 n inst; stat -c %a inst; truncate -s 1M t; du -b t; dd if=/dev/zero of=d bs=1k count=100 status=none; wc -c < d
printf 'b 2\na 1\nc 3\n' | sort | tee s | paste -sd,; join s s; comm -12 s s | wc -l; tr a-z A-Z < s; rev s; tac s; nl s; fold -w2 s; expand s > /dev/null; uniq -c s; printf '%s\n' x x y | uniq -d
date -u -d @86400 +%F; env -i A=1 env; nice -n 5 nice; timeout 0.1 sleep 5 || echo "timeout $?"; yes | head -3; expr 6 '*' 7; factor 360; basename /x/y.z .z; dirname /x/y; pathchk ok; nproc > /dev/null && echo nproc; tty || true; id -u; mktemp -d ./tXXXX > /dev/null && echo mktemp; sync; df . > /dev/null && echo df; ls / > /dev/null && echo ls
find . -type f -name 'part.*' | sort; find a -newer n | wc -l; grep -c 7 n; grep -n '^99.$' n | tail -1; grep -rl 500 . | sort; sed -n '5,7p;$!d' n; sed -e 's/1/one/g' -e '3q' n; awk '{s += $1} END {print s}' n; awk 'BEGIN { while (("echo a; echo b" | getline l) > 0) print "got " l; system("exit 3"); print "x" | "cat" }'; xargs -n 3 echo < n | head -2; find . -name n -exec wc -l {} +
