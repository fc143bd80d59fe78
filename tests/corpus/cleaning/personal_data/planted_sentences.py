"""The sentences of `planted.py`: around personal data, with what only looks like it, and with neither."""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable

Random = random.Random

CONTEXTS = {
    "en": {
        "email": [
            "Please write to {} instead.",
            "From: <{}>",
            "cc'd {}, they know more.",
            "contact={};",
            "mailto:{}?",
            'author = "{}"',
            "My address is {}, thanks!",
            "({})",
            "{}",
            "Signed-off-by: Someone <{}>",
        ],
        "phone": [
            "Call me at {} after six.",
            "Tel.: {}",
            "phone={}",
            "My number is {}, ask for Sam.",
            "Mobile {}",
            "You can reach the front desk on {}.",
            "Fax: {}",
            "Still no answer from {}!",
            "WhatsApp: {}",
            "Best regards,\nDr. Jane Roe\n{}\nLondon",
            "ring {} and leave a message",
            "☎ {}",
        ],
        "ip_address": [
            "Failed login from {} port 51122 ssh2",
            "client={} status=403",
            "The server at {} does not answer.",
            '{} - - [12/Mar/2024:06:25:24 +0000] "GET / HTTP/1.1" 200 5316',
            "blocked IP {}.",
            "remote_addr: {}",
            "ping {}",
            "peer [{}] closed the connection",
        ],
        "card": [
            "Card number: {}",
            "I paid with {} last Friday.",
            "charged to {} (exp 04/27)",
            "cc={}&cvv=123",
            "My Visa {} was declined twice.",
            "{}",
        ],
        "chinese_id": [
            "Resident ID {} was rejected by the form.",
            "id_card: {}",
            "ID no. {}",
            "His Chinese ID is {}.",
        ],
        "passport": [
            "Passport No. {}",
            "passport number: {}",
            "My passport {} expires in May.",
            "Passport: {}",
            "The passport number is {}.",
            "travelling on passport no {}",
            "Passport# {}",
            "PASSPORT (no. {})",
        ],
        "iban": [
            "IBAN: {}",
            "Please transfer it to {} by Friday.",
            "refund to {}",
            "account {} (savings)",
            "{}",
        ],
        "api_key": [
            "export KEY={}",
            'client = Client("{}")',
            "Authorization: Bearer {}",
            "I pasted {} by mistake.",
            "token: {}",
            "{}",
            "curl -H 'X-Api-Key: {}' https://api.acme.io/v1",
        ],
        "private_key": ["Here is the file:\n{}", 'key = """{}"""', '{"private_key": "{}\\n"}', "{}"],
    },
    "zh": {
        "email": [
            "请发邮件到{}。",
            "邮箱：{}",
            "我的邮箱是{}，谢谢",
            "联系人：王先生 {}",
            "（{}）",
            "有问题可以写信给{}咨询",
            "E-mail:{}",
        ],
        "phone": [
            "请拨打{}联系我。",
            "电话：{}",
            "手机号{}，微信同号",
            "联系电话:{}",
            "我的号码是{}，下午都在",
            "客服热线 {}",
            "收件人：李雷 {} 北京市海淀区",
            "有意者请致电{}张女士",
            "打了{}没人接",
            "传真：{}",
            "{}",
        ],
        "ip_address": [
            "登录IP：{}",
            "服务器地址{}无法访问",
            "来自{}的请求被拒绝",
            "客户端 {} 已断开",
            "IP地址为{}，请封禁",
        ],
        "card": ["银行卡号：{}", "请把钱转到{}，户名王芳", "卡号{}被冻结了", "我用{}付的款", "工行卡 {}"],
        "chinese_id": [
            "身份证号：{}",
            "身份证号码{}",
            "本人{}，申请退款",
            "证件号 {} 已登记",
            "公民身份号码为{}。",
        ],
        "passport": [
            "护照号码：{}",
            "护照号{}",
            "我的护照{}丢了",
            "护照 {} 有效期至2029年",
            "证件类型：护照 证件号码：{}",
        ],
        "iban": ["IBAN：{}", "境外账户{}", "请汇到{}", "收款账号 {}"],
        "api_key": ["密钥：{}", "token是{}，别外传", "不小心把{}提交到了仓库", "配置里写着 api_key={}", "{}"],
        "private_key": ["私钥如下：\n{}", "{}", "把下面内容保存为key.pem：\n{}"],
    },
}

FILLER = {
    "en": [
        "The parcel arrived two days late and the box was open.",
        "Can somebody look into this before Monday?",
        "We tried the steps from the manual, with no luck.",
        "Everything else works as expected.",
        "I would rather not go through the form again.",
        "Thanks a lot for the quick reply last time!",
        "The second attempt finished without a warning.",
        "She said that the office closes at five.",
        "It only happens when the cache is cold.",
        "They promised to get back to us, and never did.",
    ],
    "zh": [
        "包裹晚到了两天，盒子还是开着的。",
        "麻烦尽快处理一下，谢谢。",
        "按照说明书试过了，还是不行。",
        "其他功能都正常。",
        "不想再填一次表格了。",
        "上次回复得很快，非常感谢！",
        "第二次尝试没有出现警告。",
        "她说办公室五点下班。",
        "只有在缓存为空时才会出现这个问题。",
        "他们答应回复我们，后来就没有消息了。",
    ],
}


def _d(rng: Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def _version(rng: Random) -> str:
    return f"{rng.randint(11, 20)}.{rng.randint(10, 99)}.{rng.randint(10, 99)}.{rng.randint(10, 99)}"


def _hex(rng: Random, count: int) -> str:
    return "".join(rng.choices("0123456789abcdef", k=count))


def _spoiled_card(rng: Random) -> str:
    """A number of a card's form whose check digit is wrong."""
    payload = "4539" + _d(rng, 11)
    doubled = [int(d) * 2 if place % 2 == 0 else int(d) for place, d in enumerate(payload)]
    check = -sum(d - 9 if d > 9 else d for d in doubled) % 10
    return payload + str((check + rng.randint(1, 9)) % 10)


def _spoiled_id(rng: Random) -> str:
    """18 digits of a resident ID's form with an impossible month."""
    return f"110105{rng.randint(1950, 2005)}{rng.randint(13, 99)}15{_d(rng, 4)}"


_ANYWHERE: list[Callable[[Random], str]] = [
    lambda r: f"commit {_hex(r, 40)}",
    lambda r: f"request_id={uuid.UUID(int=r.getrandbits(128))}",
    lambda r: f"sha256:{_hex(r, 64)}",
    lambda r: f"numpy=={r.randint(1, 2)}.{r.randint(10, 26)}.{r.randint(10, 20)}.{r.randint(10, 99)}",
    lambda r: f"Chrome/{r.randint(90, 130)}.0.{r.randint(10, 250)}.{r.randint(10, 250)} Safari/537.36",
    lambda r: f"127.0.0.1:{r.randint(1024, 9999)} 192.168.{r.randint(0, 255)}.17 10.{r.randint(0, 255)}.0.7",
    lambda r: f"192.0.2.{r.randint(1, 254)} and 2001:db8::{_hex(r, 4)} stand in the manual",
    lambda r: f"user@example.com, {r.choice(['bob', 'alice'])}@example.org, root@localhost",
    lambda r: f"git clone git@github.com:acme/{r.choice(['mill', 'loom'])}.git",
    lambda r: f"src={r.choice(['logo', 'icon', 'banner'])}@2x.png",
    lambda r: "@property\n@functools.wraps(method)\n@pytest.mark.parametrize('value', [1, 2])",
    lambda r: f"C[i] = A@B.T + bias{r.randint(1, 9)}",
    lambda r: f"{r.randint(1, 99)}.{_d(r, 14)}",
    lambda r: f"lat={r.randint(-89, 89)}.{_d(r, 6)} lon={r.randint(100, 179)}.{_d(r, 6)}",
    lambda r: f"{r.randint(1_600_000_000, 1_750_000_000)}",
    lambda r: f"ts={r.randint(1_600_000_000_000, 1_750_000_000_000)}",
    lambda r: f"2024-0{r.randint(1, 9)}-1{r.randint(0, 9)}T0{r.randint(0, 9)}:15:30.{_d(r, 6)}+08:00",
    lambda r: f"2024/1{r.randint(0, 2)}/0{r.randint(1, 9)} 12:{r.randint(10, 59)}:00",
    lambda r: f"ISBN 978-{r.randint(0, 9)}-{_d(r, 4)}-{_d(r, 4)}-{r.randint(0, 9)}",
    lambda r: f"std::dec << a::b::c({r.randint(1, 9)}); x[::2]; 0x{_hex(r, 16)}",
    lambda r: f"tracking 1Z{_d(r, 3)}AA{_d(r, 10)}",
    lambda r: 'api_key = "YOUR_API_KEY_HERE"; token=os.environ["GITHUB_TOKEN"]; secret_key=<your-secret-key>',
    lambda r: "sk-... or ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    lambda r: f"-----BEGIN PUBLIC KEY-----\nMFkwEwYH{_hex(r, 40)}\n-----END PUBLIC KEY-----",
    lambda r: "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
    lambda r: " ".join(str(r.randint(100, 999)) for _ in range(6)),
    lambda r: "  ".join(f"{r.random():.4f}" for _ in range(5)),
    lambda r: f"array([{', '.join(str(r.randint(1000, 99999)) for _ in range(5))}])",
    lambda r: f"{r.randint(2, 9)} + {_d(r, 8)} = ?",
    lambda r: "d41d8cd98f00b204e9800998ecf8427e  empty.txt",
    lambda r: f"MAC 00:1A:{r.randint(10, 99)}:3F:{r.randint(10, 99)}:C9",
    lambda r: f"OID 1.3.6.1.4.1.{r.randint(311, 9999)}.{r.randint(1, 60)}",
]
NEGATIVES: dict[str, list[Callable[[Random], str]]] = {
    "en": [
        *_ANYWHERE,
        lambda r: f"Order no. {r.randint(100, 999)}-{_d(r, 7)}-{_d(r, 7)}",
        lambda r: f"order #{_d(r, 11)} was shipped",
        lambda r: f"Invoice {_d(r, 10)} over ${r.randint(1, 9)},{_d(r, 3)},{_d(r, 3)}.00",
        lambda r: f"Case 2021-CV-{_d(r, 6)}",
        lambda r: f"The card {_spoiled_card(r)} is not valid.",
        lambda r: f"Part number {_d(r, 4)}-{_d(r, 3)}-{_d(r, 2)}, serial {_d(r, 12)}",
        lambda r: f"Population 2020: 1 {_d(r, 3)} {_d(r, 3)} {_d(r, 3)}",
        lambda r: f"Upgrade from version {_version(r)}.",
        lambda r: f"firmware v{_version(r)}",
        lambda r: f"Passport renewals took {r.randint(10, 15)} weeks in 2022.",
        lambda r: f"iterations: {_d(r, 3)}-{_d(r, 3)}, loss 0.{_d(r, 10)}",
        lambda r: "It returned 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18.",
        lambda r: f"DE99{_d(r, 18)} fails the checksum",
        lambda r: f"fib({r.randint(10**11, 10**12)}) takes a while",
        lambda r: f"NASDAQ 14,{_d(r, 3)}.{_d(r, 2)}, seasons 1998-99 to 2003-04",
        lambda r: f"ZIP 9{_d(r, 4)}-{_d(r, 4)}, room 212-4",
    ],
    "zh": [
        *_ANYWHERE,
        lambda r: f"订单号：{r.randint(2020, 2024)}{_d(r, 7)}",
        lambda r: f"订单编号{_d(r, 18)}已发货",
        lambda r: f"快递单号 SF{_d(r, 13)}",
        lambda r: f"运单号：138{_d(r, 8)}",
        lambda r: f"价格{r.randint(1, 9)},{_d(r, 3)}.{_d(r, 2)}元，库存{_d(r, 5)}件",
        lambda r: f"2024年{r.randint(1, 12)}月{r.randint(1, 28)}日{r.randint(0, 23)}点",
        lambda r: f"卡号{_spoiled_card(r)}无效",
        lambda r: f"身份证号{_spoiled_id(r)}格式不对",
        lambda r: f"版本{_version(r)}已发布",
        lambda r: f"人口1{_d(r, 9)}人，面积{_d(r, 7)}平方公里",
        lambda r: f"坐标：{r.randint(20, 50)}.{_d(r, 6)},1{r.randint(10, 30)}.{_d(r, 6)}",
        lambda r: f"发票代码0{_d(r, 11)}，号码{_d(r, 8)}",
        lambda r: f"邮编{_d(r, 6)}，门牌{_d(r, 3)}号",
        lambda r: f"统一社会信用代码91{_d(r, 6)}MA{_d(r, 7)}X",
        lambda r: f"沪ICP备{_d(r, 8)}号-1",
        lambda r: f"QQ群{_d(r, 9)}欢迎加入",
        lambda r: f"第{_d(r, 4)}期开奖：03 08 15 22 27 31",
        lambda r: "圆周率3.14159265358979323846",
    ],
}
