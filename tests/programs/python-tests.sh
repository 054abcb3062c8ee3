# needs: libpython3.11-testsuite
# timeout: 120
# The quick ones among Python's own tests of the system's calls; what fails is named.
export HOME=$PWD
for test in mmap select pty posix tempfile resource ioctl openpty popen glob genericpath; do
    status=0
    /usr/bin/python3.11 -m test --verbose test_$test > log 2>&1 < /dev/null || status=$?
    echo "$test $status"
    sed -n 's/^\(ERROR\|FAIL\): \([^ ]*\).*/\1 \2/p' log
done
