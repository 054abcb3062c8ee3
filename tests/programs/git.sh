# needs: git
# timeout: 90
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' GIT_PAGER=cat
git init -q -b main r; cd r; git config gc.auto 0
for i in 1 2 3; do echo "line $i" >> f; git add f; git commit -qm "commit $i"; done
git log --oneline | cut -d' ' -f2-; git rev-parse HEAD; git checkout -q -b side HEAD~1; echo other > g; git add .; git commit -qm side; git merge -q -m merge main; git log --graph --format=%s; git diff main --stat
git checkout -q main; echo conflict > g; git add g; git commit -qm x; git merge side > /dev/null 2>&1 || echo "merge conflict"; git status --short; git checkout -q --ours g; git add g; git commit -qm resolved; git stash list; echo dirty >> f; git stash -q; git stash pop -q; git diff --numstat; git checkout -q f; git tag v1; git describe --tags; git reset -q --hard
git gc -q; git fsck --full 2>/dev/null; git count-objects -v | grep -E 'in-pack|packs'; cd ..; git clone -q r c; cd c; git log --format=%s | head -2; git blame -s f | cut -d' ' -f2-; git grep -n line; git archive HEAD | tar tf -; git push -q origin HEAD:refs/heads/new; cd ../r; git branch | sort; git worktree add -q ../w side; ls ../w; git bisect start HEAD HEAD~2 > /dev/null 2>&1 || true; git ls-files -s
