// The templates behind TypeOf<T>: they write a type's table and nothing else. Included by described.h only.
#pragma once

#include "base/described.h"

namespace nandu::internal {

std::string TypeNameIn(std::string_view pretty_function);  // "... [with T = nandu::Foo; ...]": "Foo"
std::string MemberWireName(std::string_view member, std::span<const WireName> exceptions);
std::string EnumeratorWireName(std::string_view enumerator, std::span<const WireName> exceptions);

template <class T>
std::string_view PrettyName() {
  return __PRETTY_FUNCTION__;
}

template <class T>
std::span<const WireName> WireNamesOf() {
  if constexpr (requires(const T* none) { WireNames(none); }) {
    return WireNames(static_cast<const T*>(nullptr));
  } else {
    return {};
  }
}

// Which template a type is made from.
template <class T>
struct Shape {
  static constexpr TypeKind kKind = TypeKind::kStruct;
};
template <class T>
requires std::is_enum_v<T>
struct Shape<T> {
  static constexpr TypeKind kKind = TypeKind::kEnum;
};
template <class T>
struct Shape<std::optional<T>> {
  static constexpr TypeKind kKind = TypeKind::kOptional;
  using Element = T;
};
template <class T>
struct Shape<std::unique_ptr<T>> {
  static constexpr TypeKind kKind = TypeKind::kOptional;
  using Element = T;
};
template <class T>
struct Shape<std::vector<T>> {
  static_assert(!std::is_same_v<T, bool>, "vector<bool> has no addressable elements; use vector<uint8_t>");
  static constexpr TypeKind kKind = TypeKind::kVector;
  using Element = T;
};
template <>
struct Shape<std::vector<std::byte>> {
  static constexpr TypeKind kKind = TypeKind::kBytes;
  static constexpr size_t kCount = 0;
};
template <class T, size_t kSize>
struct Shape<std::array<T, kSize>> {
  static constexpr TypeKind kKind = TypeKind::kArray;
  static constexpr size_t kCount = kSize;
  using Element = T;
};
template <size_t kSize>
struct Shape<std::array<std::byte, kSize>> {
  static_assert(kSize > 0);
  static constexpr TypeKind kKind = TypeKind::kBytes;
  static constexpr size_t kCount = kSize;
};
template <class... Branches>
struct Shape<std::variant<Branches...>> {
  static constexpr TypeKind kKind = TypeKind::kTagged;
  static constexpr std::string_view kTagName = "type";
  using Variant = std::variant<Branches...>;
};
template <FixedString kTag, class... Branches>
struct Shape<Tagged<kTag, Branches...>> {
  static constexpr TypeKind kKind = TypeKind::kTagged;
  static constexpr std::string_view kTagName{kTag.text, sizeof(kTag.text) - 1};
  using Variant = std::variant<Branches...>;
};
template <class... Branches>
struct Shape<OneOf<Branches...>> {
  static constexpr TypeKind kKind = TypeKind::kOneOf;
  using Variant = std::variant<Branches...>;
};
template <class T>
struct Shape<Flat<T>> {
  static constexpr TypeKind kKind = Shape<T>::kKind;
  using Inner = T;
};

template <class T>
inline constexpr bool kIsFlat = requires {
  typename Shape<T>::Inner;
};

template <class T>
void FillStruct(TypeInfo* info) {
  static_assert(std::is_class_v<T>, "a member's type is none that described.h lists");
  static_assert(boost::describe::has_describe_members<T>::value, "the struct wants a BOOST_DESCRIBE_STRUCT");
  info->default_object = [] {
    static const T& object = *new T{};  // kept for good: no destructor runs at exit
    return static_cast<const void*>(&object);
  };
  if constexpr (requires(const T& object) {
                  { Validate(object) } -> std::same_as<Result<>>;
                }) {
    info->validate = [](const void* object) { return Validate(*static_cast<const T*>(object)); };
  }
  const T& sample = *static_cast<const T*>(info->default_object());
  const std::span<const WireName> exceptions = WireNamesOf<T>();
  using Members =
      boost::describe::describe_members<T, boost::describe::mod_public | boost::describe::mod_inherited>;
  boost::mp11::mp_for_each<Members>([&](auto member) {
    using Field = std::remove_cvref_t<decltype(sample.*member.pointer)>;
    const auto* at = reinterpret_cast<const char*>(&(sample.*member.pointer));
    info->fields.push_back({MemberWireName(member.name, exceptions),
                            static_cast<size_t>(at - reinterpret_cast<const char*>(&sample)), &TypeOf<Field>,
                            kIsFlat<Field>});
  });
}

template <class T>
void FillEnum(TypeInfo* info) {
  static_assert(boost::describe::has_describe_enumerators<T>::value, "the enum wants a BOOST_DESCRIBE_ENUM");
  info->is_signed = std::is_signed_v<std::underlying_type_t<T>>;
  const std::span<const WireName> exceptions = WireNamesOf<T>();
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>([&](auto enumerator) {
    info->enumerators.push_back(
        {EnumeratorWireName(enumerator.name, exceptions), static_cast<int64_t>(enumerator.value)});
  });
}

template <class T>
void FillOptional(TypeInfo* info) {
  using Element = typename Shape<T>::Element;
  info->element = &TypeOf<Element>;
  info->emplace = [](void* at) -> void* {
    T& holder = *static_cast<T*>(at);
    if constexpr (requires { holder.emplace(); }) {
      return &holder.emplace();
    } else {
      holder = std::make_unique<Element>();
      return holder.get();
    }
  };
  info->clear = [](void* at) { static_cast<T*>(at)->reset(); };
  info->held = [](const void* at) -> const void* {
    const T& holder = *static_cast<const T*>(at);
    return holder ? &*holder : nullptr;
  };
}

template <class T>
void FillSequence(TypeInfo* info) {
  info->length = [](const void* at) { return static_cast<const T*>(at)->size(); };
  info->resize = [](void* at, size_t elements) -> void* {
    T& sequence = *static_cast<T*>(at);
    if constexpr (requires { sequence.resize(elements); }) {
      sequence.clear();
      sequence.resize(elements);
    }
    return sequence.data();
  };
  info->data = [](const void* at) -> const void* { return static_cast<const T*>(at)->data(); };
}

template <class T>
void FillVariant(TypeInfo* info) {
  using Variant = typename Shape<T>::Variant;
  [&]<class... Branches>(std::variant<Branches...>*) {
    const auto add = [&]<class Branch>(Branch*) {
      if constexpr (requires { Shape<T>::kTagName; }) {
        info->branches.push_back(
            {std::string(TagValue(static_cast<const Branch*>(nullptr))), &TypeOf<Branch>});
      } else {
        info->branches.push_back({{}, &TypeOf<Branch>});
      }
    };
    (add(static_cast<Branches*>(nullptr)), ...);
    info->emplace_branch = [](void* at, size_t index) -> void* {
      Variant& variant = *static_cast<T*>(at);
      using Emplace = void* (*)(Variant&);
      static constexpr Emplace kEmplace[] = {
          [](Variant& into) -> void* { return &into.template emplace<Branches>(); }...};
      return kEmplace[index](variant);
    };
  }(static_cast<Variant*>(nullptr));
  if constexpr (requires { Shape<T>::kTagName; }) {
    info->tag = Shape<T>::kTagName;
  }
  info->branch = [](const void* at) {
    return static_cast<const Variant&>(*static_cast<const T*>(at)).index();
  };
  info->held_branch = [](const void* at) -> const void* {
    return std::visit([](const auto& held) -> const void* { return &held; },
                      static_cast<const Variant&>(*static_cast<const T*>(at)));
  };
}

template <class T>
TypeInfo* MakeType() {
  auto* info = new TypeInfo;
  info->kind = Shape<T>::kKind;
  info->name = TypeNameIn(PrettyName<T>());
  info->size_bytes = sizeof(T);
  if constexpr (Shape<T>::kKind == TypeKind::kStruct) {
    FillStruct<T>(info);
  } else if constexpr (Shape<T>::kKind == TypeKind::kEnum) {
    FillEnum<T>(info);
  } else if constexpr (Shape<T>::kKind == TypeKind::kOptional) {
    FillOptional<T>(info);
  } else if constexpr (Shape<T>::kKind == TypeKind::kVector) {
    info->element = &TypeOf<typename Shape<T>::Element>;
    FillSequence<T>(info);
  } else if constexpr (Shape<T>::kKind == TypeKind::kArray) {
    info->element = &TypeOf<typename Shape<T>::Element>;
    info->count = Shape<T>::kCount;
  } else if constexpr (Shape<T>::kKind == TypeKind::kBytes) {
    info->count = Shape<T>::kCount;
    FillSequence<T>(info);
  } else {
    FillVariant<T>(info);
  }
  return info;
}

}  // namespace nandu::internal

namespace nandu {

template <class T>
const TypeInfo& TypeOf() {
  if constexpr (internal::kIsFlat<T>) {
    // The same object seen as what it holds: a Flat adds no member.
    return TypeOf<typename internal::Shape<T>::Inner>();
  } else {
    static const TypeInfo& info = *internal::MakeType<T>();
    return info;
  }
}

// The types that are not templates and not described; in described.cpp.
template <>
const TypeInfo& TypeOf<bool>();
template <>
const TypeInfo& TypeOf<int8_t>();
template <>
const TypeInfo& TypeOf<uint8_t>();
template <>
const TypeInfo& TypeOf<int16_t>();
template <>
const TypeInfo& TypeOf<uint16_t>();
template <>
const TypeInfo& TypeOf<int32_t>();
template <>
const TypeInfo& TypeOf<uint32_t>();
template <>
const TypeInfo& TypeOf<int64_t>();
template <>
const TypeInfo& TypeOf<uint64_t>();
template <>
const TypeInfo& TypeOf<long long>();
template <>
const TypeInfo& TypeOf<unsigned long long>();
template <>
const TypeInfo& TypeOf<double>();
template <>
const TypeInfo& TypeOf<std::string>();
template <>
const TypeInfo& TypeOf<std::monostate>();
template <>
const TypeInfo& TypeOf<boost::json::value>();

}  // namespace nandu
