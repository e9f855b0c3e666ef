import { expect, test } from 'vitest'
import { proxyFor } from '../../../src/adapters/registry/proxy.ts'

const proxies = { HTTPS_PROXY: 'http://proxy:3128', http_proxy: 'plain:8080' }

test.each([
  { url: 'https://ghcr.io/', environment: {}, proxy: undefined },
  { url: 'https://ghcr.io/', environment: proxies, proxy: 'http://proxy:3128' },
  { url: 'http://registry.local/', environment: proxies, proxy: 'http://plain:8080' },
  { url: 'https://ghcr.io/', environment: { HTTP_PROXY: 'http://proxy' }, proxy: undefined },
  { url: 'https://localhost:5000/', environment: proxies, proxy: undefined },
  { url: 'https://127.3.2.1/', environment: proxies, proxy: undefined },
  { url: 'https://[::1]/', environment: proxies, proxy: undefined },
])('$url with $environment goes through $proxy', ({ url, environment, proxy }) => {
  expect(proxyFor(new URL(url), environment)).toBe(proxy)
})

test.each([
  { noProxy: '*', url: 'https://ghcr.io/', direct: true },
  { noProxy: 'a, ghcr.io', url: 'https://ghcr.io/', direct: true },
  { noProxy: 'ghcr.io', url: 'https://sub.ghcr.io/', direct: true },
  { noProxy: 'ghcr.io', url: 'https://notghcr.io/', direct: false },
  { noProxy: '.example.com', url: 'https://r.example.com/', direct: true },
  { noProxy: '.example.com', url: 'https://example.com/', direct: false },
  { noProxy: '*.example.com', url: 'https://r.example.com/', direct: true },
  { noProxy: 'r.example.com:5000', url: 'https://r.example.com:5000/', direct: true },
  { noProxy: 'r.example.com:5000', url: 'https://r.example.com/', direct: false },
  { noProxy: 'r.example.com:443', url: 'https://r.example.com/', direct: true },
  { noProxy: '10.0.0.0/8', url: 'http://10.9.8.7:5000/', direct: true },
  { noProxy: '10.0.0.0/8', url: 'http://11.9.8.7:5000/', direct: false },
  { noProxy: '10.0.0.0/99', url: 'http://10.9.8.7:5000/', direct: false },
  { noProxy: 'fd00::/8', url: 'https://[fd00::7]:5000/', direct: true },
  { noProxy: 'fd00::7', url: 'https://[fd00::7]:5000/', direct: true },
  { noProxy: '10.0.0.1', url: 'https://10.0.0.1/', direct: true },
  { noProxy: '', url: 'https://ghcr.io/', direct: false },
])('NO_PROXY=$noProxy lets $url go direct: $direct', ({ noProxy, url, direct }) => {
  const environment = { HTTPS_PROXY: 'p', HTTP_PROXY: 'p', NO_PROXY: noProxy }

  expect(proxyFor(new URL(url), environment)).toBe(direct ? undefined : 'http://p')
})
