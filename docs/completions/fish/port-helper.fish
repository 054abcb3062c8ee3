# fish completion for port-helper
