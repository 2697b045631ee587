// What differs between two pictures. Pure; any thread.
#pragma once

#include <nandu/display.h>

namespace nandu {

// The smallest rectangle that holds every pixel that differs; empty: none does. All of `after` when the sizes
// differ.
DisplayRect FindDamage(const Picture& before, const Picture& after);

}  // namespace nandu
