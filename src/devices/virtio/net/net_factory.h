// virtio-net-pci's row for the device catalog, and its options as QEMU 7.2 names them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <nandu/device.h>

#include "base/described.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/virtio_pci_options.h"
#include "devices/virtio/virtio_pci_variants.h"

namespace nandu {

struct VirtioNetOptions : VirtioPciOptions {
  std::optional<std::string> netdev;  // absent: a card without a cable
  std::optional<std::string> mac;
  bool mq = false;  // as many queue pairs as the netdev has
  uint16_t rx_queue_size = 256;
  uint16_t tx_queue_size = 256;
  uint16_t host_mtu = 0;              // 0: not told to the guest
  int32_t speed = -1;                 // Mbit/s, -1: unknown
  std::optional<std::string> duplex;  // "half" or "full"
  std::optional<std::string> tx;      // "bh"; "timer" is not served
  std::optional<int32_t> bootindex;
  uint32_t acpi_index = 0;

  // Features, all on where the netdev can.
  bool csum = true;
  bool gso = true;
  bool guest_csum = true;
  bool guest_tso4 = true;
  bool guest_tso6 = true;
  bool guest_ecn = true;
  bool guest_ufo = true;
  bool guest_announce = true;
  bool host_tso4 = true;
  bool host_tso6 = true;
  bool host_ecn = true;
  bool host_ufo = true;
  bool mrg_rxbuf = true;
  bool status = true;
  bool ctrl_vq = true;
  bool ctrl_rx = true;
  bool ctrl_vlan = true;
  bool ctrl_rx_extra = true;
  bool ctrl_mac_addr = true;
  bool ctrl_guest_offloads = true;
  // Off only.
  bool rss = false;
  bool hash = false;
  bool guest_rsc_ext = false;
  bool failover = false;
};
BOOST_DESCRIBE_STRUCT(VirtioNetOptions, (VirtioPciOptions),
                      (netdev, mac, mq, rx_queue_size, tx_queue_size, host_mtu, speed, duplex, tx, bootindex,
                       acpi_index, csum, gso, guest_csum, guest_tso4, guest_tso6, guest_ecn, guest_ufo,
                       guest_announce, host_tso4, host_tso6, host_ecn, host_ufo, mrg_rxbuf, status, ctrl_vq,
                       ctrl_rx, ctrl_vlan, ctrl_rx_extra, ctrl_mac_addr, ctrl_guest_offloads, rss, hash,
                       guest_rsc_ext, failover))
inline std::span<const WireName> WireNames(const VirtioNetOptions* /*type*/) {
  static constexpr WireName kNames[] = {NANDU_VIRTIO_PCI_WIRE_NAMES,
                                        {"rx_queue_size", "rx_queue_size"},
                                        {"tx_queue_size", "tx_queue_size"},
                                        {"host_mtu", "host_mtu"},
                                        {"guest_csum", "guest_csum"},
                                        {"guest_tso4", "guest_tso4"},
                                        {"guest_tso6", "guest_tso6"},
                                        {"guest_ecn", "guest_ecn"},
                                        {"guest_ufo", "guest_ufo"},
                                        {"guest_announce", "guest_announce"},
                                        {"host_tso4", "host_tso4"},
                                        {"host_tso6", "host_tso6"},
                                        {"host_ecn", "host_ecn"},
                                        {"host_ufo", "host_ufo"},
                                        {"mrg_rxbuf", "mrg_rxbuf"},
                                        {"ctrl_vq", "ctrl_vq"},
                                        {"ctrl_rx", "ctrl_rx"},
                                        {"ctrl_vlan", "ctrl_vlan"},
                                        {"ctrl_rx_extra", "ctrl_rx_extra"},
                                        {"ctrl_mac_addr", "ctrl_mac_addr"},
                                        {"ctrl_guest_offloads", "ctrl_guest_offloads"},
                                        {"guest_rsc_ext", "guest_rsc_ext"}};
  return kNames;
}
Result<> Validate(const VirtioNetOptions& options);

// "52:54:00:12:34:56", also with '-'; not a group address.
Result<net::Mac> ParseMac(const std::string& text);
// What is offered to the guest over this backend.
uint64_t NetFeatures(const VirtioNetOptions& options, const NetBackend& backend);

const DeviceFactory& VirtioNetPciFactory(VirtioPciVariant variant = VirtioPciVariant::kPlain);

}  // namespace nandu
