# needs: tar gzip bzip2 xz-utils
umask 022; mkdir -p t/d; seq 1 20000 > t/n; ln -s n t/l; ln t/n t/h; chmod 640 t/n; touch -d @1000000 t/n t/d; mkfifo t/p; head -c 300000 /dev/zero > t/z
for c in gzip bzip2 xz; do tar --sort=name --owner=0 --group=0 --mtime=@0 --use-compress-program=$c -cf a.$c t; $c -t a.$c && echo $c ok; rm -rf x; mkdir x; tar -xf a.$c -C x; diff -r --no-dereference t/n x/t/n && stat -c '%A %s %h' x/t/n x/t/l x/t/p; done
tar --sort=name -cf - t | tar tvf - | awk '{print $1, $NF}' | sort; gzip -c t/n | zcat | md5sum; tar cSf s.tar t/z; test $(stat -c %s s.tar) -lt 100000 && echo sparse; printf abc | gzip -9 | gunzip; echo; tar xf none.tar 2>/dev/null || echo "status $?"
