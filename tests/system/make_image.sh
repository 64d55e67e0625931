#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a Debian 12 disk that boots in qemu: make_image.sh PACKAGE FOLDER; prints the folder of root.img, vmlinuz and
# initrd.img. It is kept in FOLDER and made again only when this recipe or the package's dependencies change. Those and
# a broker lie in its apt cache and are not installed: the machine has no network, and what the package needs must be named by
# the package itself. Needs neither root nor mounts.
set -eu
package=$(realpath "$1")
needs="$(dpkg-deb -f "$package" Depends) $(dpkg-deb -f "$package" Recommends)"
key=$({ cat "$0"; echo "$needs"; } | sha256sum | cut -c1-16)
image=$2/$key
if [ -e "$image/ready" ]; then
    echo "$image"
    exit
fi
echo "== making a Debian disk in $image: a minute or two, once" >&2
rm -rf "$2"
mkdir -p "$image"

# Of the kernel's modules the boot needs three; udev loads the rest, as on a real box.
if ! mmdebstrap --variant=minbase --skip=cleanup/apt --aptopt='APT::Install-Recommends "false"' \
    --include=systemd-sysv,udev,dbus,kmod,login,sudo,linux-image-amd64,initramfs-tools,qemu-guest-agent \
    --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"' \
    --essential-hook='echo MODULES=list >"$1/etc/initramfs-tools/conf.d/few"' \
    --essential-hook='printf "%s\n" virtio_pci virtio_blk ext4 >"$1/etc/initramfs-tools/modules"' \
    --customize-hook='echo gateway >"$1/etc/hostname"; echo 127.0.0.1 localhost gateway >"$1/etc/hosts"' \
    --customize-hook="copy-in $package /root" \
    --customize-hook='chroot "$1" sh -c "apt-get install --yes --download-only /root/*.deb mosquitto mosquitto-clients && rm /root/*.deb"' \
    --customize-hook='chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer \
        e2scrub_reap.service fstrim.timer dpkg-db-backup.timer getty@.service serial-getty@.service' \
    --customize-hook='printf "blacklist %s\n" kvm_amd kvm_intel floppy pcspkr >"$1/etc/modprobe.d/quick.conf"' \
    --customize-hook="download /vmlinuz $image/vmlinuz" --customize-hook="download /initrd.img $image/initrd.img" \
    --format=ext2 bookworm "$image/root.img" >"$image/log" 2>&1; then
    tail -n 30 "$image/log" >&2
    exit 1
fi

# The image comes as ext2, full to the brim: what a gateway has is ext4, with room.
{
    tune2fs -O extents,dir_index,has_journal "$image/root.img"
    e2fsck -fy "$image/root.img" || [ $? -le 2 ]
    truncate -s 3G "$image/root.img"
    resize2fs "$image/root.img"
} >>"$image/log" 2>&1
touch "$image/ready"
echo "$image"
