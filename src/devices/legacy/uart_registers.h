// Registers of the 16550A. PC16550D datasheet (National Semiconductor), section 8, table II.
#pragma once

#include <cstdint>

namespace nandu::uart {

// Offsets. 0 and 1 are the divisor latch while LCR.DLAB is set.
inline constexpr unsigned kData = 0;             // RBR read, THR write
inline constexpr unsigned kInterruptEnable = 1;  // IER
inline constexpr unsigned kInterruptId = 2;      // IIR read, FCR write
inline constexpr unsigned kLineControl = 3;      // LCR
inline constexpr unsigned kModemControl = 4;     // MCR
inline constexpr unsigned kLineStatus = 5;       // LSR
inline constexpr unsigned kModemStatus = 6;      // MSR
inline constexpr unsigned kScratch = 7;          // SCR
inline constexpr unsigned kRegisters = 8;

// IER
inline constexpr uint8_t kEnableReceive = 0x01;
inline constexpr uint8_t kEnableTransmit = 0x02;
inline constexpr uint8_t kEnableLineStatus = 0x04;
inline constexpr uint8_t kEnableModemStatus = 0x08;
inline constexpr uint8_t kEnableMask = 0x0f;

// IIR, by falling priority
inline constexpr uint8_t kIdLineStatus = 0x06;
inline constexpr uint8_t kIdReceive = 0x04;
inline constexpr uint8_t kIdTimeout = 0x0c;
inline constexpr uint8_t kIdTransmit = 0x02;
inline constexpr uint8_t kIdModemStatus = 0x00;
inline constexpr uint8_t kIdNone = 0x01;
inline constexpr uint8_t kIdFifos = 0xc0;

// FCR
inline constexpr uint8_t kFifoEnable = 0x01;
inline constexpr uint8_t kFifoClearReceive = 0x02;
inline constexpr uint8_t kFifoClearTransmit = 0x04;
inline constexpr unsigned kFifoTriggerShift = 6;
inline constexpr unsigned kFifoBytes = 16;

// LCR
inline constexpr uint8_t kWordLengthMask = 0x03;
inline constexpr uint8_t kTwoStopBits = 0x04;
inline constexpr uint8_t kParity = 0x08;
inline constexpr uint8_t kDivisorLatch = 0x80;

// MCR
inline constexpr uint8_t kDtr = 0x01;
inline constexpr uint8_t kRts = 0x02;
inline constexpr uint8_t kOut1 = 0x04;
inline constexpr uint8_t kOut2 = 0x08;
inline constexpr uint8_t kLoopback = 0x10;
inline constexpr uint8_t kModemControlMask = 0x1f;

// LSR
inline constexpr uint8_t kDataReady = 0x01;
inline constexpr uint8_t kOverrun = 0x02;
inline constexpr uint8_t kParityError = 0x04;
inline constexpr uint8_t kFramingError = 0x08;
inline constexpr uint8_t kBreak = 0x10;
inline constexpr uint8_t kTransmitHoldingEmpty = 0x20;
inline constexpr uint8_t kTransmitterEmpty = 0x40;
inline constexpr uint8_t kReceiveErrors = kOverrun | kParityError | kFramingError | kBreak;

// MSR: the upper half are levels, the lower half says what changed.
inline constexpr uint8_t kCts = 0x10;
inline constexpr uint8_t kDsr = 0x20;
inline constexpr uint8_t kRing = 0x40;
inline constexpr uint8_t kCarrier = 0x80;
inline constexpr uint8_t kDeltaRing = 0x04;  // trailing edge only
inline constexpr uint8_t kDeltaMask = 0x0f;

inline constexpr uint32_t kBaseBaud = 115200;  // 1.8432 MHz / 16

}  // namespace nandu::uart
