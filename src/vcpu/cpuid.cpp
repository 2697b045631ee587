#include "vcpu/cpuid.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "vcpu/cpu_feature_rules.h"
#include "vcpu/msrs.h"

namespace nandu {
namespace {

using enum FeatureWord;
using Registers = CpuidRegisters;

constexpr uint32_t kSignificantIndex = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;

class Builder {
 public:
  Builder(const CpuModel& model, const CpuTopology& topology, const HostCpu& host, unsigned index)
      : model_(model),
        topology_(topology),
        host_(host),
        place_(topology.PlaceOf(index)),
        apic_id_(topology.ApicId(index)),
        threads_per_die_(topology.cores * topology.threads),
        level_(LevelFor(model, topology)) {}

  std::vector<kvm_cpuid_entry2> Build(uint32_t tsc_khz) {
    entries_ = HyperVCpuid(model_.options.hyperv, host_.hyperv);
    if (model_.options.kvm) {
      Kvm(tsc_khz);
    }
    Basic();
    Extended();
    if (model_.xlevel2 >= 0xc0000000) {
      Add(0xc0000000, 0, {model_.xlevel2, 0, 0, 0});
      Add(0xc0000001, 0, {model_.version, 0, 0, model_.features.Low(kC0000001Edx)});
    }
    return std::move(entries_);
  }

 private:
  static uint32_t LevelFor(const CpuModel& model, const CpuTopology& topology) {
    const bool dies = topology.dies > 1 && model.is_intel() && model.options.full_cpuid_auto_level;
    return dies && !model.options.level ? std::max(model.level, 0x1fU) : model.level;
  }
  // KVM answers zeros for what is absent, and takes a limited number.
  void Add(uint32_t function, uint32_t flags, const Registers& r, uint32_t index = 0) {
    if (r != Registers{}) {
      entries_.push_back({function, index, flags, r[0], r[1], r[2], r[3], {}});
    }
  }
  // There are KVMs that answer a leaf they are not told of with the host's.
  void AddAlways(uint32_t function, uint32_t index, const Registers& r) {
    entries_.push_back({function, index, kSignificantIndex, r[0], r[1], r[2], r[3], {}});
  }
  Registers Vendor(uint32_t level) const {
    std::array<char, 12> text{};
    std::copy_n(model_.vendor.begin(), std::min(text.size(), model_.vendor.size()), text.begin());
    Registers r{level, 0, 0, 0};
    std::memcpy(&r[1], &text[0], 4);
    std::memcpy(&r[3], &text[4], 4);
    std::memcpy(&r[2], &text[8], 4);
    return r;
  }
  void CopySupported(uint32_t function, uint32_t max_index) {
    for (const kvm_cpuid_entry2& entry : host_.supported) {
      if (entry.function == function && entry.index <= max_index) {
        Add(function, entry.flags, {entry.eax, entry.ebx, entry.ecx, entry.edx}, entry.index);
      }
    }
  }
  bool Has(FeatureWord word, unsigned bit) const { return model_.features.Has(word, bit); }

  // KVM's own leaves; behind Hyper-V's, where those are.
  void Kvm(uint32_t tsc_khz) {
    constexpr uint32_t kBase = 0x40000000, kBehindHyperV = 0x40000100, kFeatures = 1, kFrequencies = 0x10;
    const bool first = !model_.options.hyperv.shown();
    const uint32_t base = first ? kBase : kBehindHyperV;
    // VMware's leaf, which guests look for at its place only.
    const bool known_tsc = Has(k80000007Edx, 8) || model_.options.tsc_frequency_hz.has_value();
    const bool frequencies = model_.options.vmware_cpuid_freq && first && known_tsc && tsc_khz != 0;
    Registers signature{base | (frequencies ? kFrequencies : kFeatures), 0, 0, 0};
    std::memcpy(&signature[1], "KVMKVMKVM\0\0\0", 12);
    Add(base, 0, signature);
    Add(base | kFeatures, 0, {model_.features.Low(kKvm), 0, 0, model_.features.Low(kKvmHints)});
    if (frequencies) {
      constexpr uint32_t kApicKhz = 1'000'000;  // KVM's APIC timer
      Add(base | kFrequencies, 0, {tsc_khz, kApicKhz, 0, 0});
    }
  }

  void Basic() {
    Add(0, 0, Vendor(level_));
    for (uint32_t function = 1; function <= std::min<uint32_t>(level_, 0x1f); ++function) {
      switch (function) {
        case 1: Version(); break;
        case 2: DescriptorLeaf(); break;
        case 4: CacheLeaf(); break;
        case 5: Add(5, 0, {0, 0, 3, 0}); break;  // MWAIT: extensions known, interrupts break it
        case 6: Add(6, 0, {model_.features.Low(k6Eax), 0, 0, 0}); break;
        case 7: StructuredFeatures(); break;
        case 0xa:
          if (model_.options.pmu.value_or(false)) {
            CopySupported(0xa, 0);
          }
          break;
        case 0xb: ExtendedTopology(); break;
        case 0xd: ExtendedState(); break;
        case 0x12: Sgx(); break;
        case 0x14: ProcessorTrace(); break;
        case 0x1d:
        case 0x1e:
          if (Has(k7Edx, 24)) {
            CopySupported(function, 1);
          }
          break;
        case 0x1f: DieTopology(); break;
        default: break;
      }
    }
  }

  void Version() {
    constexpr uint32_t kFlushLine = 8;  // CLFLUSH, in units of 8 bytes
    uint32_t ebx = apic_id_ << 24 | kFlushLine << 8;
    uint32_t edx = model_.features.Low(k1Edx);
    if (threads_per_die_ > 1) {
      ebx |= std::min(threads_per_die_, 255U) << 16;
      edx |= 1U << 28;  // HTT: the count in EBX is valid
    }
    Add(1, 0, {model_.version, ebx, model_.features.Low(k1Ecx), edx});
  }

  bool host_caches() const { return model_.options.host_cache_info.value_or(false); }

  void DescriptorLeaf() {
    if (host_caches()) {
      CopyCaches(2);
    } else if (!model_.is_amd()) {
      Add(2, 0, CacheDescriptors(*model_.caches, model_.options.l3_cache));
    }
  }

  void CacheLeaf() {
    if (host_caches()) {
      CopyCaches(4);
      return;
    }
    if (model_.is_amd()) {
      return;
    }
    const CacheSet& caches = model_.caches->intel;
    const auto add = [&](uint32_t index, const CpuCache& cache, uint32_t sharing) {
      Registers r = CacheParameters(cache, sharing);
      r[0] |= (topology_.cores - 1) << 26;
      Add(4, kSignificantIndex, r, index);
    };
    add(0, caches.l1_data, 0);
    add(1, caches.l1_code, 0);
    add(2, caches.l2, topology_.threads - 1);
    if (model_.options.l3_cache) {
      add(3, caches.l3, (1U << topology_.DieShift()) - 1);
    }
  }

  // The host's caches, shared by no more logical processors than the guest's die has.
  void CopyCaches(uint32_t function) {
    for (const kvm_cpuid_entry2& entry : host_.caches) {
      if (entry.function != function) {
        continue;
      }
      uint32_t eax = entry.eax;
      if (function == 4 || function == 0x8000001d) {
        const uint32_t sharing = std::min((eax >> 14 & 0xfff) + 1, std::bit_ceil(threads_per_die_));
        eax = (eax & 0x3fff) | (sharing - 1) << 14 | (function == 4 ? (topology_.cores - 1) << 26 : 0U);
      }
      Add(function, entry.flags, {eax, entry.ebx, entry.ecx, entry.edx}, entry.index);
    }
  }

  void StructuredFeatures() {
    AddAlways(7, 0,
              {model_.level_func7, model_.features.Low(k7Ebx), model_.features.Low(k7Ecx),
               model_.features.Low(k7Edx)});
    if (model_.level_func7 >= 1) {
      AddAlways(7, 1, {model_.features.Low(k71Eax), 0, 0, 0});
    }
  }

  void Level(uint32_t function, uint32_t index, uint32_t shift, uint32_t count, uint32_t type) {
    entries_.push_back(
        {function, index, kSignificantIndex, shift, count & 0xffff, type << 8 | index, apic_id_, {}});
  }
  static constexpr uint32_t kNoLevel = 0, kThreadLevel = 1, kCoreLevel = 2, kDieLevel = 5;

  void ExtendedTopology() {
    if (model_.options.cpuid_0xb) {
      Level(0xb, 0, topology_.CoreShift(), topology_.threads, kThreadLevel);
      Level(0xb, 1, topology_.SocketShift(), threads_per_die_, kCoreLevel);
      Level(0xb, 2, 0, 0, kNoLevel);
    }
  }

  void DieTopology() {
    if (topology_.dies > 1) {
      Level(0x1f, 0, topology_.CoreShift(), topology_.threads, kThreadLevel);
      Level(0x1f, 1, topology_.DieShift(), threads_per_die_, kCoreLevel);
      Level(0x1f, 2, topology_.SocketShift(), threads_per_die_ * topology_.dies, kDieLevel);
      Level(0x1f, 3, 0, 0, kNoLevel);
    }
  }

  // XCR0 components the model's features need and the host has.
  uint64_t Components() const { return StateComponents(model_.features) & SupportedComponents(host_); }

  void ExtendedState() {
    if (!Has(k1Ecx, 26)) {
      return;
    }
    constexpr uint32_t kLegacyArea = 0x240;  // x87, SSE and the header (SDM volume 1, 13.4)
    constexpr uint32_t kAligned = 2, kAlignment = 64;
    const uint64_t components = Components();
    uint32_t size = kLegacyArea, compacted = kLegacyArea;
    for (uint32_t i = 2; i < 63; ++i) {
      const kvm_cpuid_entry2* entry = FindCpuid(host_.supported, 0xd, i);
      if ((components >> i & 1) != 0 && entry != nullptr) {
        size = std::max(size, entry->eax + entry->ebx);
        if ((entry->ecx & kAligned) != 0) {
          compacted = (compacted + kAlignment - 1) & ~(kAlignment - 1);
        }
        compacted += entry->eax;
      }
    }
    // EBX is the size for what is enabled now: KVM keeps it, from the first XSETBV on.
    Add(0xd, kSignificantIndex,
        {static_cast<uint32_t>(components), size, size, static_cast<uint32_t>(components >> 32)});
    if (model_.features.Low(kXsave) != 0) {
      Add(0xd, kSignificantIndex, {model_.features.Low(kXsave), compacted, 0, 0}, 1);
    }
    for (uint32_t i = 2; i < 63; ++i) {
      const kvm_cpuid_entry2* entry = FindCpuid(host_.supported, 0xd, i);
      if ((components >> i & 1) != 0 && entry != nullptr) {
        Add(0xd, kSignificantIndex, {entry->eax, entry->ebx, entry->ecx, 0}, i);
      }
    }
  }

  void ProcessorTrace() {
    constexpr uint32_t kLinearAddresses = 1U << 31;
    if (Has(k7Ebx, 25)) {
      Add(0x14, kSignificantIndex,
          {kTraceLeaf[0].eax, kTraceLeaf[0].ebx,
           kTraceLeaf[0].ecx | (model_.features.Low(k14Ecx) & kLinearAddresses), 0});
      Add(0x14, kSignificantIndex, {kTraceLeaf[1].eax, kTraceLeaf[1].ebx, 0, 0}, 1);
    }
  }

  void Sgx() {
    if (Has(k7Ebx, 2)) {
      const kvm_cpuid_entry2* sizes = FindCpuid(host_.supported, 0x12);
      Add(0x12, kSignificantIndex,
          {model_.features.Low(kSgxEax), model_.features.Low(kSgxEbx), 0, sizes != nullptr ? sizes->edx : 0});
      Add(0x12, kSignificantIndex,
          {model_.features.Low(kSgxAttributes), 0, static_cast<uint32_t>(Components()), 0}, 1);
    }
  }

  void Extended() {
    if (model_.xlevel < 0x80000000) {
      return;
    }
    Add(0x80000000, 0, Vendor(model_.xlevel));
    for (uint32_t function = 0x80000001; function <= std::min(model_.xlevel, 0x8000001eU); ++function) {
      switch (function) {
        case 0x80000001: {
          // CmpLegacy: several logical processors are cores, not threads (APM, E.4.2).
          const uint32_t legacy = threads_per_die_ > 1 && !model_.is_intel() ? 1U << 1 : 0U;
          Add(function, 0,
              {model_.version, 0, model_.features.Low(k80000001Ecx) | legacy,
               model_.features.Low(k80000001Edx)});
          break;
        }
        case 0x80000002:
        case 0x80000003:
        case 0x80000004: BrandString(function); break;
        case 0x80000005:
        case 0x80000006: OldAmdCaches(function); break;
        case 0x80000007: Add(function, 0, {0, 0, 0, model_.features.Low(k80000007Edx)}); break;
        case 0x80000008: AddressSizes(); break;
        case 0x8000000a:
          if (Has(k80000001Ecx, 2)) {
            Add(function, 0, {1, 16, 0, model_.features.Low(kSvm)});  // revision 1, 16 address space IDs
          }
          break;
        case 0x8000001d: AmdCaches(); break;
        case 0x8000001e: AmdTopology(); break;
        default: break;
      }
    }
  }

  void OldAmdCaches(uint32_t function) {
    if (host_caches()) {
      CopyCaches(function);
    } else {
      Add(function, 0,
          function == 0x80000005 ? AmdL1Caches(*model_.caches)
                                 : AmdL2Caches(*model_.caches, model_.options.l3_cache));
    }
  }

  void BrandString(uint32_t function) {
    std::array<char, 48> text{};
    std::copy_n(model_.model_id.begin(), std::min(text.size(), model_.model_id.size()), text.begin());
    Registers r{};
    std::memcpy(r.data(), &text[(function - 0x80000002) * sizeof(r)], sizeof(r));
    Add(function, 0, r);
  }

  void AddressSizes() {
    const bool long_mode = Has(k80000001Edx, 29);
    const uint32_t virtual_bits = Has(k7Ecx, 16) ? 57 : 48;
    uint32_t ecx = 0;
    if (threads_per_die_ > 1) {
      ecx = (threads_per_die_ - 1) & 0xff;
      ecx |= topology_.SocketShift() << 12;
    }
    Add(0x80000008, 0,
        {model_.phys_bits | (long_mode ? virtual_bits << 8 : 0U), model_.features.Low(k80000008Ebx), ecx, 0});
  }

  void AmdCaches() {
    if (host_caches()) {
      CopyCaches(0x8000001d);
      return;
    }
    const CacheSet& caches = model_.caches->amd;
    const uint32_t of_core = topology_.threads - 1;
    Add(0x8000001d, kSignificantIndex, CacheParameters(caches.l1_data, of_core), 0);
    Add(0x8000001d, kSignificantIndex, CacheParameters(caches.l1_code, of_core), 1);
    Add(0x8000001d, kSignificantIndex, CacheParameters(caches.l2, of_core), 2);
    Add(0x8000001d, kSignificantIndex, CacheParameters(caches.l3, threads_per_die_ - 1), 3);
  }

  void AmdTopology() {
    constexpr unsigned kTopoext = 22;
    if (!Has(k80000001Ecx, kTopoext) || place_.core > 0xff) {
      return;
    }
    // APM, E.4.18: core, threads per core; node, nodes per socket.
    const uint32_t node = place_.socket * topology_.dies + place_.die;
    entries_.push_back({0x8000001e,
                        0,
                        0,
                        apic_id_,
                        (topology_.threads - 1) << 8 | place_.core,
                        (topology_.dies - 1) << 8 | (node & 0xff),
                        0,
                        {}});
  }

  const CpuModel& model_;
  const CpuTopology& topology_;
  const HostCpu& host_;
  const CpuTopology::Place place_;
  const uint32_t apic_id_;
  const uint32_t threads_per_die_;
  const uint32_t level_;
  std::vector<kvm_cpuid_entry2> entries_;
};

}  // namespace

std::vector<kvm_cpuid_entry2> BuildCpuid(const CpuModel& model, const CpuTopology& topology,
                                         const HostCpu& host, unsigned index, uint32_t tsc_khz) {
  return Builder(model, topology, host, index).Build(tsc_khz);
}

}  // namespace nandu
