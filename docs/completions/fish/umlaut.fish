complete --keep-order --exclusive --command umlaut --arguments "(COMPLETE=fish umlaut -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
