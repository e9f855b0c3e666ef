#!/usr/bin/env node
require('../dist/helm-operator/main.cjs')
