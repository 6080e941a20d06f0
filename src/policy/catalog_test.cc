// SPDX-License-Identifier: Apache-2.0
#include "policy/catalog.h"

#include <gtest/gtest.h>
#include <linux/capability.h>

#include <set>

#include "policy/format.h"

namespace gatehouse::policy {
namespace {

template <typename Value>
void ExpectDistinct(std::span<const NameRow<Value>> rows) {
  std::set<std::string_view> names;
  std::set<Value> values;
  for (const NameRow<Value>& row : rows) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    if (!row.alias.empty()) {
      EXPECT_TRUE(names.insert(row.alias).second) << row.alias;
    }
    if (row.value) values.insert(*row.value);
  }
  EXPECT_FALSE(values.empty());
}

TEST(Catalog, HasNoNameTwice) {
  ExpectDistinct(Operators());
  ExpectDistinct(ArgumentTypes());
  ExpectDistinct(Actions());
  ExpectDistinct(LabelOperators());
  ExpectDistinct(Modes());
  ExpectDistinct(OnOverlaps());
  ExpectDistinct(Options());
  ExpectDistinct(Capabilities());
  ExpectDistinct(BpfCommands());
  ExpectDistinct(Protocols());
  ExpectDistinct(Families());
  ExpectDistinct(TcpStates());
  ExpectDistinct(SocketTypes());
}

TEST(Catalog, KnowsCapabilitiesByTheKernelsNumbers) {
  int32_t number = 0;
  for (const NameRow<int32_t>& row : Capabilities()) EXPECT_EQ(row.value, number++) << row.name;
  EXPECT_EQ(number, CAP_LAST_CAP + 1);
}

TEST(Catalog, KnowsHowOperatorsSearch) {
  constexpr ValueKind kText = ValueKind::kPath;
  constexpr ValueKind kNumber = ValueKind::kNumber;
  const struct {
    Operator op;
    ValueKind values;
    gh_match match;
    bool negated;
  } cases[] = {
      {Operator::kEqual, kText, GH_MATCH_EXACT, false},
      {Operator::kNotEqual, kText, GH_MATCH_EXACT, true},
      {Operator::kIn, kText, GH_MATCH_EXACT, false},
      {Operator::kNotIn, kText, GH_MATCH_EXACT, true},
      {Operator::kIn, ValueKind::kString, GH_MATCH_EXACT, false},
      {Operator::kPrefix, kText, GH_MATCH_PREFIX, false},
      {Operator::kNotPrefix, kText, GH_MATCH_PREFIX, true},
      {Operator::kPostfix, kText, GH_MATCH_POSTFIX, false},
      {Operator::kNotPostfix, kText, GH_MATCH_POSTFIX, true},
      {Operator::kEqual, kNumber, GH_MATCH_RANGE, false},
      {Operator::kNotEqual, kNumber, GH_MATCH_RANGE, true},
      {Operator::kIn, kNumber, GH_MATCH_RANGE, false},
      {Operator::kNotIn, ValueKind::kCapability, GH_MATCH_RANGE, true},
      {Operator::kGreater, kNumber, GH_MATCH_RANGE, false},
      {Operator::kLess, kNumber, GH_MATCH_RANGE, false},
      {Operator::kMask, kNumber, GH_MATCH_MASK, false},
      {Operator::kInRange, kNumber, GH_MATCH_RANGE, false},
      {Operator::kNotInRange, kNumber, GH_MATCH_RANGE, true},
      {Operator::kInMap, kNumber, GH_MATCH_RANGE, false},
      {Operator::kNotInMap, kNumber, GH_MATCH_RANGE, true},
      {Operator::kSourceAddress, ValueKind::kAddress, GH_MATCH_ADDRESS, false},
      {Operator::kNotDestinationAddress, ValueKind::kAddress, GH_MATCH_ADDRESS, true},
      {Operator::kSourcePort, kNumber, GH_MATCH_RANGE, false},
      {Operator::kNotDestinationPort, kNumber, GH_MATCH_RANGE, true},
      {Operator::kNotSourcePortPrivileged, kNumber, GH_MATCH_RANGE, true},
      {Operator::kProtocol, ValueKind::kProtocol, GH_MATCH_RANGE, false},
      {Operator::kFamily, ValueKind::kFamily, GH_MATCH_RANGE, false},
      {Operator::kState, ValueKind::kState, GH_MATCH_RANGE, false},
  };
  for (const auto& each : cases) {
    EXPECT_EQ(TraitsOf(each.op, each.values).match, each.match) << NameOf(each.op);
    EXPECT_EQ(TraitsOf(each.op, each.values).negated, each.negated) << NameOf(each.op);
  }
}

TEST(Catalog, KnowsHowArgumentsAreRead) {
  const struct {
    ArgumentType type;
    ValueKind values;
    gh_read read;
    uint8_t bytes;
    bool is_signed;
  } cases[] = {
      {ArgumentType::kLinuxBinprm, ValueKind::kPath, GH_READ_BINPRM, 0, false},
      {ArgumentType::kFile, ValueKind::kPath, GH_READ_FILE, 0, false},
      {ArgumentType::kPath, ValueKind::kPath, GH_READ_PATH, 0, false},
      {ArgumentType::kString, ValueKind::kString, GH_READ_STRING, 0, false},
      {ArgumentType::kInt8, ValueKind::kNumber, GH_READ_NUMBER, 1, true},
      {ArgumentType::kUint8, ValueKind::kNumber, GH_READ_NUMBER, 1, false},
      {ArgumentType::kInt16, ValueKind::kNumber, GH_READ_NUMBER, 2, true},
      {ArgumentType::kUint16, ValueKind::kNumber, GH_READ_NUMBER, 2, false},
      {ArgumentType::kInt32, ValueKind::kNumber, GH_READ_NUMBER, 4, true},
      {ArgumentType::kUint32, ValueKind::kNumber, GH_READ_NUMBER, 4, false},
      {ArgumentType::kInt64, ValueKind::kNumber, GH_READ_NUMBER, 8, true},
      {ArgumentType::kUint64, ValueKind::kNumber, GH_READ_NUMBER, 8, false},
      {ArgumentType::kSizeT, ValueKind::kNumber, GH_READ_NUMBER, 8, false},
      {ArgumentType::kCapability, ValueKind::kCapability, GH_READ_NUMBER, 4, true},
      {ArgumentType::kSystemCall, ValueKind::kNumber, GH_READ_SYSTEM_CALL, 8, false},
      {ArgumentType::kBpfCommand, ValueKind::kBpfCommand, GH_READ_NUMBER, 4, true},
      {ArgumentType::kDentry, ValueKind::kPath, GH_READ_DENTRY, 0, false},
      {ArgumentType::kKiocb, ValueKind::kPath, GH_READ_KIOCB, 0, false},
      {ArgumentType::kModule, ValueKind::kString, GH_READ_MODULE, 0, false},
      {ArgumentType::kLoadInfo, ValueKind::kString, GH_READ_LOAD_INFO, 0, false},
      {ArgumentType::kNetDevice, ValueKind::kString, GH_READ_NET_DEVICE, 0, false},
      {ArgumentType::kSock, ValueKind::kSocket, GH_READ_SOCK, 0, false},
      {ArgumentType::kSocket, ValueKind::kSocket, GH_READ_SOCKET, 0, false},
      {ArgumentType::kSkb, ValueKind::kSocket, GH_READ_SKB, 0, false},
      {ArgumentType::kSockaddr, ValueKind::kSocket, GH_READ_SOCKADDR, 0, false},
      {ArgumentType::kCred, ValueKind::kSocket, GH_READ_CRED, 0, false},
      {ArgumentType::kUserNamespace, ValueKind::kSocket, GH_READ_USER_NAMESPACE, 0, false},
      {ArgumentType::kBpfAttr, ValueKind::kSocket, GH_READ_BPF_ATTR, 0, false},
      {ArgumentType::kBpfProg, ValueKind::kSocket, GH_READ_BPF_PROG, 0, false},
      {ArgumentType::kBpfMap, ValueKind::kSocket, GH_READ_BPF_MAP, 0, false},
      {ArgumentType::kPerfEvent, ValueKind::kSocket, GH_READ_PERF_EVENT, 0, false},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(NameOf(each.type));
    const ArgumentTypeTraits traits = TraitsOf(each.type);
    EXPECT_EQ(traits.values, each.values);
    EXPECT_EQ(traits.read, each.read);
    EXPECT_EQ(traits.bytes, each.bytes);
    EXPECT_EQ(traits.is_signed, each.is_signed);
    if (each.values == ValueKind::kSocket) continue;
    const size_t of_texts = each.values == ValueKind::kPath ? 18 : 12;  // of files and directories
    EXPECT_EQ(traits.operators.size(), IsNumber(each.values) ? 12U : of_texts);
  }
}

TEST(Catalog, KnowsSetsOfCapabilitiesAsAWhole) {
  for (const ArgumentType type : {ArgumentType::kKernelCap, ArgumentType::kCapInheritable,
                                  ArgumentType::kCapPermitted, ArgumentType::kCapEffective}) {
    SCOPED_TRACE(NameOf(type));
    const ArgumentTypeTraits traits = TraitsOf(type);
    EXPECT_EQ(traits.values, ValueKind::kCapabilityMask);
    EXPECT_EQ(traits.read, GH_READ_CAPABILITIES);
    EXPECT_EQ(traits.bytes, 8);
    EXPECT_EQ(traits.operators.size(), 6U);
    EXPECT_EQ(TraitsOf(Operator::kIn, traits.values).match, GH_MATCH_RANGE);
    EXPECT_EQ(TraitsOf(Operator::kMask, traits.values).match, GH_MATCH_MASK);
    EXPECT_EQ(TraitsOf(Operator::kCapabilitiesGained, traits.values).match, GH_MATCH_GAINED);
  }
}

TEST(Catalog, AnOperatorOnASocketIsAboutAField) {
  Hook hook;
  hook.arguments = {{.index = 2, .type = ArgumentType::kSock},
                    {.index = 3, .type = ArgumentType::kUint16}};
  const auto traits = [&](Operator op, uint32_t which = 0) {
    return TraitsOf(Filter{.which = which, .op = op}, hook);
  };
  const SubjectTraits port = traits(Operator::kNotDestinationPort);
  EXPECT_EQ(port.subject, 2);
  EXPECT_EQ(port.type, ArgumentType::kSock);
  EXPECT_EQ(port.field, GH_FIELD_DESTINATION_PORT);
  EXPECT_EQ(port.operand, ArgumentType::kPort);
  EXPECT_EQ(traits(Operator::kSourceAddress).field, GH_FIELD_SOURCE);
  EXPECT_EQ(traits(Operator::kSourceAddress).operand, ArgumentType::kAddress);
  EXPECT_EQ(traits(Operator::kState).field, GH_FIELD_STATE);
  hook.arguments.push_back({.index = 4, .type = ArgumentType::kSockaddrUn});
  EXPECT_EQ(traits(Operator::kFamily, 2).field, GH_FIELD_FAMILY);
  EXPECT_EQ(traits(Operator::kFamily, 2).operand, ArgumentType::kFamily);
  EXPECT_EQ(traits(Operator::kPrefix, 2).field, GH_FIELD_WHOLE);
  EXPECT_EQ(traits(Operator::kPrefix, 2).operand, ArgumentType::kSockaddrUn);
  const SubjectTraits whole = traits(Operator::kEqual, 1);
  EXPECT_EQ(whole.subject, 3);
  EXPECT_EQ(whole.field, GH_FIELD_WHOLE);
  EXPECT_EQ(whole.operand, ArgumentType::kUint16);
}

TEST(Format, NamesValuesAsPoliciesDo) {
  EXPECT_EQ(NameOf(Operator::kNotPostfix), "NotPostfix");
  EXPECT_EQ(NameOf(ActionKind::kSigkill), "Sigkill");
  EXPECT_EQ(NameOf(ArgumentType::kLinuxBinprm), "linux_binprm");
  EXPECT_EQ(NameOf(ArgumentType::kInt32), "int32");
  EXPECT_EQ(NameOf(LabelOperator::kDoesNotExist), "DoesNotExist");
  EXPECT_EQ(NameOf(Mode::kMonitor), "monitor");
  EXPECT_EQ(NameOf(OnOverlap::kMerge), "Merge");
  EXPECT_EQ(NameOf(HookKind::kLsm), "lsmhooks");
  EXPECT_EQ(NameOf(HookKind::kKprobe), "kprobes");
  EXPECT_EQ(NameOf(Subject::kArgument), "matchArgs");
  EXPECT_EQ(NameOf(Subject::kBinary), "matchBinaries");
}

TEST(Format, NamesKindsOfDocuments) {
  Document document;
  TracingPolicy policy;
  document.object = policy;
  EXPECT_EQ(KindOf(document), "TracingPolicy");
  policy.key.ns = "shop";
  document.object = policy;
  EXPECT_EQ(KindOf(document), "TracingPolicyNamespaced");
  document.object = Template{};
  EXPECT_EQ(KindOf(document), "TracingPolicyTemplate");
  document.object = Binding{};
  EXPECT_EQ(KindOf(document), "TracingPolicyBinding");
}

}  // namespace
}  // namespace gatehouse::policy
