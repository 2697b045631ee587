#include "devices/display/vga_memory.h"

#include <bit>
#include <optional>

#include "devices/display/vga_registers.h"

namespace nandu {
namespace {

constexpr uint64_t kNone = ~uint64_t{0};

struct Place {
  uint64_t base;
  uint64_t size;
};
// Memory map select (graphics register 6, bits 3:2), from 0xa0000.
constexpr Place kPlaces[] = {{0, 0x20000}, {0, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000}};

Place PlaceOf(const VgaState& state) {
  constexpr unsigned kFirst64k = 1;
  const unsigned select = state.vbe.enabled() ? kFirst64k : state.graphics[vga::kMiscellaneous] >> 2 & 3;
  return kPlaces[select];
}

bool IsChain4(const VgaState& state) {
  return state.vbe.enabled() ? state.vbe.bpp != vga::kPlanes
                             : (state.sequencer[vga::kMemoryMode] & vga::kMemoryChain4) != 0;
}

unsigned MapMask(const VgaState& state) {
  return state.vbe.enabled() && IsChain4(state) ? 0xf : state.sequencer[vga::kMapMask];
}

// Where `offset` leads before chaining; kNone: nowhere.
uint64_t AddressOf(const VgaState& state, uint64_t offset) {
  const Place place = PlaceOf(state);
  if (offset < place.base || offset - place.base >= place.size) {
    return kNone;
  }
  const uint64_t bank = state.vbe.enabled() ? state.vbe.bank * vbe::kBankBytes : 0;
  return offset - place.base + bank;
}

bool IsOddEven(const VgaState& state) { return (state.graphics[vga::kMode] & vga::kModeOddEven) != 0; }

uint64_t OddEven(uint64_t address) { return (address & ~uint64_t{1}) << 1; }

// Bit P of `planes` becomes byte P.
constexpr uint32_t Spread(unsigned planes) {
  uint32_t bytes = 0;
  for (unsigned plane = 0; plane < vga::kPlanes; plane++) {
    bytes |= (planes >> plane & 1) != 0 ? 0xffU << (8 * plane) : 0;
  }
  return bytes;
}

constexpr uint32_t Everywhere(uint8_t byte) { return byte * 0x01010101U; }

uint32_t LoadPlanes(std::span<const uint8_t> memory, uint64_t at) {
  uint32_t planes = 0;
  for (unsigned plane = 0; plane < vga::kPlanes; plane++) {
    planes |= uint32_t{memory[at + plane]} << (8 * plane);
  }
  return planes;
}

// The data path of write modes 0 to 3, before the map mask.
uint32_t Combine(const VgaState& state, uint8_t value) {
  const auto& graphics = state.graphics;
  const unsigned mode = graphics[vga::kMode] & vga::kModeWrite;
  if (mode == 1) {
    return state.latch;
  }
  const uint8_t rotated = std::rotr(value, graphics[vga::kDataRotate] & 7);
  uint8_t bit_mask = graphics[vga::kBitMask];
  uint32_t data = 0;
  if (mode == 0) {
    const uint32_t forced = Spread(graphics[vga::kEnableSetReset]);
    data = (Everywhere(rotated) & ~forced) | (Spread(graphics[vga::kSetReset]) & forced);
  } else if (mode == 2) {
    data = Spread(value & 0xf);
  } else {
    data = Spread(graphics[vga::kSetReset]);
    bit_mask &= rotated;
  }
  switch (graphics[vga::kDataRotate] >> 3 & 3) {
    case 1: data &= state.latch; break;
    case 2: data |= state.latch; break;
    case 3: data ^= state.latch; break;
    default: break;
  }
  const uint32_t bits = Everywhere(bit_mask);
  return (data & bits) | (state.latch & ~bits);
}

VgaWindowWritten StoreOne(std::span<uint8_t> memory, uint64_t at, uint8_t value) {
  if (at >= memory.size()) {
    return {};
  }
  memory[at] = value;
  return {at, 1};
}

}  // namespace

VgaDirectWindow DirectWindow(const VgaState& state, uint64_t memory_bytes) {
  if (!IsChain4(state) || MapMask(state) != 0xf) {
    return {};
  }
  const Place place = PlaceOf(state);
  const uint64_t memory = state.vbe.enabled() ? state.vbe.bank * vbe::kBankBytes : 0;
  return memory + place.size <= memory_bytes ? VgaDirectWindow{place.base, place.size, memory}
                                             : VgaDirectWindow{};
}

uint8_t ReadVgaWindow(VgaState* state, std::span<const uint8_t> memory, uint64_t offset) {
  const uint64_t address = AddressOf(*state, offset);
  if (address == kNone) {
    return 0xff;
  }
  if (IsChain4(*state)) {
    return address < memory.size() ? memory[address] : uint8_t{0xff};
  }
  const unsigned map = state->graphics[vga::kReadMap];
  if (IsOddEven(*state)) {
    const uint64_t at = OddEven(address) | (map & 2) | (address & 1);
    return at < memory.size() ? memory[at] : uint8_t{0xff};
  }
  const uint64_t at = address * vga::kPlanes;
  if (at + vga::kPlanes > memory.size()) {
    return 0xff;
  }
  state->latch = LoadPlanes(memory, at);
  if ((state->graphics[vga::kMode] & vga::kModeReadCompare) == 0) {
    return static_cast<uint8_t>(state->latch >> (8 * map));
  }
  // Read mode 1: a bit is set where every plane that is cared for has the colour to compare with.
  const uint32_t differs = (state->latch ^ Spread(state->graphics[vga::kColourCompare])) &
                           Spread(state->graphics[vga::kColourDontCare]);
  const uint32_t any = differs | differs >> 16;
  return static_cast<uint8_t>(~(any | any >> 8));
}

VgaWindowWritten WriteVgaWindow(const VgaState& state, std::span<uint8_t> memory, uint64_t offset,
                                uint8_t value) {
  const uint64_t address = AddressOf(state, offset);
  if (address == kNone) {
    return {};
  }
  const unsigned map_mask = MapMask(state);
  if (IsChain4(state)) {
    return (map_mask >> (address & 3) & 1) != 0 ? StoreOne(memory, address, value) : VgaWindowWritten{};
  }
  if (IsOddEven(state)) {
    const unsigned plane = address & 1;
    return (map_mask >> plane & 1) != 0 ? StoreOne(memory, OddEven(address) | plane, value)
                                        : VgaWindowWritten{};
  }
  const uint64_t at = address * vga::kPlanes;
  if (at + vga::kPlanes > memory.size()) {
    return {};
  }
  const uint32_t data = Combine(state, value);
  for (unsigned plane = 0; plane < vga::kPlanes; plane++) {
    if ((map_mask >> plane & 1) != 0) {
      memory[at + plane] = static_cast<uint8_t>(data >> (8 * plane));
    }
  }
  return {at, vga::kPlanes};
}

}  // namespace nandu
