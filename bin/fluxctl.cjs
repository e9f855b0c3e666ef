#!/usr/bin/env node
require('../dist/fluxctl/main.cjs')
