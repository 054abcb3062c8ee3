# needs: sqlite3
sqlite3 t.db <<'EOF'
create table a(id integer primary key, name text, v real); create index i on a(name);
with recursive c(x) as (select 1 union all select x + 1 from c where x < 5000) insert into a select x, 'n' || x, x / 3.0 from c;
select count(*), sum(id), round(avg(v), 3) from a; select name from a where name like 'n49_' order by id desc limit 3; explain query plan select * from a where name = 'n7';
begin; delete from a where id > 10; rollback; select count(*) from a; pragma integrity_check; pragma journal_mode = wal; insert into a values(9999, 'wal', 1); pragma wal_checkpoint; vacuum; select count(*) from a;
.mode csv
select * from a limit 2;
EOF
for i in 1 2 3 4; do (for k in 1 2 3 4 5; do sqlite3 -cmd '.timeout 20000' t.db "insert into a(name) values('p$i-$k')"; done) & done; wait; sqlite3 t.db "select count(*) from a where name like 'p%'"; sqlite3 t.db .dump | sha256sum | wc -c; sqlite3 :memory: "select json_extract('{\"a\":[1,2]}', '\$.a[1]')"
