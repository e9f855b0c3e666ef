# The one image: fluxd, helm-operator and fluxctl, with the programs that they drive.
#
#     docker build -t fluxctl:0.1.0 .
#     docker build -t fluxctl:0.1.0-helm-operator --target helm-operator .
#
# Both hold the same. They differ in the program that runs without a command, so that either takes the place of the
# image in a Deployment of Flux v1, which gives arguments only.

FROM node:20-bookworm-slim AS build
WORKDIR /build
COPY . .
RUN npm ci --ignore-scripts && npm run build && npm run pack

# helm and kubectl, each checked against the sum that its makers publish beside it
FROM node:20-bookworm-slim AS tools
ARG HELM_VERSION=v4.2.3
ARG KUBECTL_VERSION=v1.36.3
ARG TARGETARCH=amd64
WORKDIR /tools
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates curl \
 && rm -rf /var/lib/apt/lists/*
RUN set -eu; \
    archive="helm-${HELM_VERSION}-linux-${TARGETARCH}.tar.gz"; \
    curl -fsSLO "https://get.helm.sh/$archive"; \
    curl -fsSLO "https://get.helm.sh/$archive.sha256sum"; \
    sha256sum --check "$archive.sha256sum"; \
    tar -xzf "$archive" --strip-components=1 "linux-${TARGETARCH}/helm"; \
    curl -fsSLO "https://dl.k8s.io/release/${KUBECTL_VERSION}/bin/linux/${TARGETARCH}/kubectl"; \
    echo "$(curl -fsSL "https://dl.k8s.io/release/${KUBECTL_VERSION}/bin/linux/${TARGETARCH}/kubectl.sha256")  kubectl" \
      | sha256sum --check -; \
    chmod 0755 helm kubectl

FROM node:20-bookworm-slim AS programs
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git gnupg openssh-client tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --home-dir /home/flux --create-home flux \
 && mkdir -p /var/fluxd/keygen /var/fluxd/cache \
 && chown -R 10001:10001 /var/fluxd
COPY --from=tools /tools/helm /tools/kubectl /usr/local/bin/
COPY --from=build /build/.cache/fluxctl-*.tgz /tmp/
RUN npm install --global --omit=dev /tmp/fluxctl-*.tgz && rm -rf /tmp/* /root/.npm
ENV NODE_ENV=production
EXPOSE 3030
# No USER: Deployments of Flux v1 mount a key that only root may read. Those in `deploy/` run it as 10001.

FROM programs AS helm-operator
ENTRYPOINT ["/usr/bin/tini", "--", "helm-operator"]

FROM programs AS fluxd
ENTRYPOINT ["/usr/bin/tini", "--", "fluxd"]
