#!/usr/bin/env node
require('../dist/fluxd/main.cjs')
