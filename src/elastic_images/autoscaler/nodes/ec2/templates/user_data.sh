#!/bin/bash
# Makes an instance a cache node of Elastic Images. Run once, as root, by cloud-init, at the instance's first start.
# There is no secret in it: the node reads the internal token from Secrets Manager, by the instance's profile.
set -euo pipefail
umask 022

# {{values}}
root="${EI_ROOT:-}" # empty on an instance; a test has its files elsewhere
home="$root/opt/elastic-images"
units="$root/etc/systemd/system"
say() { echo "elastic-images: $*"; }

# First of all, the end: whatever goes wrong from here on, an instance that nobody hears of turns itself off, and
# an instance that is turned off is terminated (that is how it was launched).
mkdir -p "$units" "$root/etc/elastic-images" "$root/usr/local/lib/elastic-images" "$root/run" "$home"
cat > "$root/usr/local/lib/elastic-images/watchdog" << 'WATCHDOG'
#!/bin/bash
# Turns the instance off once neither storage nor the autoscaler has answered for an hour.
heard="${EI_ROOT:-}/run/elastic-images-heard"
[ -e "$heard" ] || touch "$heard"
for url in $(< "${EI_ROOT:-}/etc/elastic-images/watched"); do
  if curl -fsS --noproxy '*' --max-time 5 -o /dev/null "$url/healthz"; then
    touch "$heard"
    exit 0
  fi
done
if [ $(($(date +%s) - $(stat -c %Y "$heard"))) -ge 3600 ]; then
  echo "nobody has answered for an hour: the instance turns itself off"
  systemctl poweroff
fi
WATCHDOG
chmod 755 "$root/usr/local/lib/elastic-images/watchdog"
echo "$watched" > "$root/etc/elastic-images/watched"
cat > "$units/elastic-images-watchdog.service" << 'UNIT'
[Unit]
Description=Turns off a node that nobody wants any more

[Service]
Type=oneshot
ExecStart=/usr/local/lib/elastic-images/watchdog
UNIT
cat > "$units/elastic-images-watchdog.timer" << 'UNIT'
[Unit]
Description=Looks every five minutes whether anybody wants this node

[Timer]
OnActiveSec=60
OnUnitActiveSec=300

[Install]
WantedBy=timers.target
UNIT
systemctl daemon-reload
systemctl enable --now elastic-images-watchdog.timer

# A node that cannot be made is given up at once, and another one is tried; the console log says why.
give_up() {
  say "the node could not be made (line $1); the instance turns itself off"
  systemctl poweroff
}
trap 'give_up $LINENO' ERR

if ! command -v python3.11 > /dev/null; then
  say "installing Python 3.11"
  timeout 180 dnf install -y -q python3.11 python3.11-pip
fi

say "fetching version $version from $packages"
mkdir -p "$home/wheels"
timeout 180 aws s3 cp --only-show-errors --recursive --region "$region" "$packages/$version/" "$home/wheels/"
(cd "$home/wheels" && sha256sum --quiet --check SHA256SUMS)
python3.11 -m venv "$home/venv"
timeout 180 "$home/venv/bin/python" -m pip install -q --disable-pip-version-check --no-index \
  --find-links "$home/wheels" "$requirement"

id -u elastic-images > /dev/null 2>&1 || useradd --system --no-create-home --shell /sbin/nologin elastic-images

# IMDSv2: the address at which other machines reach this one.
imds=http://169.254.169.254/latest
token=$(curl -fsS --noproxy '*' --max-time 10 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/api/token")
address=$(curl -fsS --noproxy '*' --max-time 10 -H "X-aws-ec2-metadata-token: $token" "$imds/meta-data/local-ipv4")

cat > "$root/etc/elastic-images/node.env" << ENVIRONMENT
ELASTIC_IMAGES_ADVERTISE=$address
{{environment}}
ENVIRONMENT

# The token reaches the node's own user as a credential; the file it comes from is in memory, and root's alone.
cat > "$root/usr/local/lib/elastic-images/fetch-token" << FETCH
#!/bin/bash
set -euo pipefail
umask 077
cd "\$RUNTIME_DIRECTORY"
until timeout 30 aws secretsmanager get-secret-value --region "$region" --secret-id "$secret" \
  --query SecretString --output text > fetched; do
  sleep 2
done
mv fetched internal-token
FETCH
chmod 755 "$root/usr/local/lib/elastic-images/fetch-token"
cat > "$units/elastic-images-token.service" << 'UNIT'
[Unit]
Description=Fetches the internal token of Elastic Images from Secrets Manager
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
RuntimeDirectory=elastic-images-token
RuntimeDirectoryMode=0700
TimeoutStartSec=infinity
ExecStart=/usr/local/lib/elastic-images/fetch-token
UNIT
cat > "$units/elastic-images-node.service" << 'UNIT'
[Unit]
Description=Cache node {{slot}} of Elastic Images
Wants=network-online.target
Requires=elastic-images-token.service
After=network-online.target elastic-images-token.service
StartLimitIntervalSec=0

[Service]
User=elastic-images
Group=elastic-images
EnvironmentFile=/etc/elastic-images/node.env
LoadCredential=internal-token:/run/elastic-images-token/internal-token
Environment=ELASTIC_IMAGES_INTERNAL_TOKEN_FILE=%d/internal-token
ExecStart=/opt/elastic-images/venv/bin/elastic-images serve memcache --slot {{slot}}
Restart=on-failure
RestartSec=1
TimeoutStopSec=10
LimitNOFILE=65536
StateDirectory=elastic-images
StateDirectoryMode=0700
WorkingDirectory=/var/lib/elastic-images
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
PrivateTmp=yes
PrivateDevices=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
CapabilityBoundingSet=
AmbientCapabilities=
UMask=0077

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now elastic-images-node.service
say "node {{slot}} is started"
