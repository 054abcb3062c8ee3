# needs: gcc make libc6-dev binutils
# timeout: 120
mkdir -p src include
cat > include/list.h <<'EOF'
struct node { int v; struct node *next; };
struct node *push(struct node *, int);
int sum(const struct node *);
EOF
cat > src/list.c <<'EOF'
#include "list.h"
#include <stdlib.h>
struct node *push(struct node *n, int v) { struct node *x = malloc(sizeof *x); x->v = v; x->next = n; return x; }
EOF
cat > src/sum.c <<'EOF'
#include "list.h"
int sum(const struct node *n) { return n ? n->v + sum(n->next) : 0; }
EOF
cat > src/main.c <<'EOF'
#include "list.h"
#include <stdio.h>
#include <math.h>
#include <pthread.h>
static void *run(void *x) { *(double *)x = sqrt(2); return x; }
int main(void) { struct node *n = 0; for (int i = 1; i <= 100; i++) n = push(n, i); double d; pthread_t t; pthread_create(&t, 0, run, &d); pthread_join(t, 0); printf("sum %d sqrt %.3f\n", sum(n), d); return 0; }
EOF
cat > Makefile <<'EOF'
OBJ = list.o sum.o main.o
prog: $(OBJ) libx.a ; $(CC) -o $@ $(OBJ) -lm -pthread
%.o: src/%.c include/list.h ; $(CC) -O2 -Iinclude -c $< -o $@
libx.a: sum.o ; ar rcs $@ $^
clean: ; rm -f *.o prog libx.a
.PHONY: clean
EOF
make -s -j4 && ./prog; make; touch -d '+1 minute' include/list.h; make -n | grep -c -- -O2; make -s clean; ls
printf 'int f(int x){return x*3;}\n' > so.c; gcc -shared -fPIC -o libso.so so.c; printf 'int f(int); int main(void){return f(7);}\n' > use.c; gcc use.c -L. -lso -Wl,-rpath,. -o use; ./use || echo "status $?"; gcc -static use.c so.c -o st; ./st || echo "static $?"; gcc -no-pie use.c so.c -o np; ./np || echo "no-pie $?"; printf 'int main(void){return x;}\n' > bad.c; gcc bad.c -o bad 2>&1 | grep -c error; gcc -S -O2 so.c -o - | grep -c ret; nm libso.so | grep -c ' T f'; strip np; ./np || echo "stripped $?"
