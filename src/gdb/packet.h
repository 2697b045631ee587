// The framing of gdb's remote serial protocol: $DATA#CHECKSUM with acknowledgements, escapes and the bare
// interrupt byte. One control loop. Specification: "Debugging with GDB", appendix E.1 (Overview).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nandu {

// What a debugger sent, cut into pieces.
class GdbReader {
 public:
  static constexpr size_t kMostBytes = 0x4000;  // of a packet's data; told to the debugger as PacketSize
  enum class Kind : uint8_t { kPacket, kBadPacket, kInterrupt, kAck, kNak };
  struct Piece {
    Kind kind = Kind::kPacket;
    std::string data;  // kPacket: unescaped
  };
  // Bytes that belong to nothing are dropped.
  std::vector<Piece> Feed(std::span<const std::byte> bytes);

 private:
  enum class State : uint8_t { kIdle, kData, kEscaped, kChecksum1, kChecksum2 };
  void TakeIdle(char byte, std::vector<Piece>* out);
  State state_ = State::kIdle;
  std::string data_;
  uint8_t sum_ = 0;
  int first_digit_ = 0;
  bool too_long_ = false;
};

// "$...#xx", escaped where it must be.
std::string GdbPacket(std::string_view data);

// ---- hexadecimal, as packets carry it ----
int HexDigit(char digit);  // -1: none
std::string ToHex(std::span<const std::byte> bytes);
// False when it is no even number of digits.
bool FromHex(std::string_view text, std::vector<std::byte>* out);
// A number at the front of `text`, which is cut off; false when there is none or it does not fit.
bool TakeHex(std::string_view* text, uint64_t* value);

}  // namespace nandu
