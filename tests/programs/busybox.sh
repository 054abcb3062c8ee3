# needs: busybox
busybox sh -c 'for i in 1 2 3; do echo $i; done; x=$((5 * 5)); echo $x'
busybox --list | grep -cx -e ls -e sh -e vi
echo 'hello world' | busybox sed 's/o/0/g'; busybox seq 5 | busybox awk '{s+=$1} END {print s}'
busybox mkdir d; busybox touch d/a d/b; busybox ls d; busybox find d | busybox sort; busybox tar cf t.tar d; busybox tar tf t.tar | busybox sort
busybox gzip < t.tar | busybox gunzip | busybox cmp - t.tar && echo same; busybox sha256sum /dev/null; busybox printf '%d\n' 0x10; busybox expr 3 + 4; echo abc | busybox tr a-c x-z
busybox sh -c 'sleep 5 & kill $!; wait $!; echo $?'; busybox ps > /dev/null && echo ps; busybox date -u -d @0 +%Y; busybox id -u; busybox stat -c %a d; busybox timeout 1 busybox true && echo ok
